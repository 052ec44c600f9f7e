"""Owns the faults that `mutants.py` puts into seglib, and the notebooks that must find each of them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """In a file of the repository, the text `old`, which stands there once, becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """One mistake, in words, as edits of the code; a cell of each of `notebooks` must fail when it is made."""

    name: str
    edits: tuple[Edit, ...]
    notebooks: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file of the first edit, which has the fault."""
        return self.edits[0].file


def faulty_texts(fault: Fault, root: Path) -> dict[str, str]:
    """The text of each file that a fault changes, with the fault in it, by its name.

    Args:
        fault: of `FAULTS`.
        root: of the repository, or of a copy of it.

    Raises:
        SystemExit: a text to be replaced stands in its file not once; says which.
    """
    texts: dict[str, str] = {}
    for edit in fault.edits:
        text = texts.get(edit.file) or (root / edit.file).read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            times = text.count(edit.old)
            raise SystemExit(f"{fault.name}: this stands {times} times in {edit.file}, not once:\n{edit.old}")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


FAULTS = [
    Fault(
        "reverse the file order of the masks",
        notebooks=(
            "00_start_here",
            "01_dataset",
        ),
        edits=(
            Edit(
                "seglib/data/pairing.py",
                old="(images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())}",
                new="pair for stem, pair in zip(sorted(images), "
                "zip(sorted(images.values()), sorted(masks.values(), reverse=True)))}",
            ),
        ),
    ),
    Fault(
        "pair by position",
        notebooks=("01_dataset",),
        edits=(
            Edit(
                "seglib/data/pairing.py",
                old="    return FoundPairs(pairs, images_alone, masks_alone, passed_over)\n",
                new="    return FoundPairs(pairs, [], [], passed_over)\n",
            ),
            Edit(
                "seglib/data/pairing.py",
                old="(images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())}",
                new="pair for stem, pair in zip(sorted(images), zip(sorted(images.values()), sorted(masks.values())))}",
            ),
        ),
    ),
    Fault(
        "ignore the EXIF orientation of a photograph",
        notebooks=("01_dataset",),
        edits=(
            Edit(
                "seglib/data/image_io.py",
                old="        picture = ImageOps.exif_transpose(picture)\n",
                new="        pass\n",
            ),
        ),
    ),
    Fault(
        "threshold at the wrong value for the loss",
        notebooks=("00_start_here",),
        edits=(
            Edit(
                "seglib/losses.py",
                old="outputs[:, 0] > self.threshold",
                new="outputs[:, 0] > 0.5 - self.threshold",
            ),
        ),
    ),
    Fault(
        "average IoU over batches",
        notebooks=("00_start_here",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="        matrix = matrix + count_pairs(predicted, masks.view_as(predicted), num_classes)\n",
                new="        one = count_pairs(predicted, masks.view_as(predicted), num_classes)\n"
                "        matrix = matrix + one\n"
                "        ious.append(iou(one)[1].item() if len(one) == 2 else mean_iou(one))\n",
            ),
            Edit(
                "seglib/training/loop.py",
                old="    matrix = torch.zeros((), dtype=torch.int64, device=device)\n",
                new="    matrix = torch.zeros((), dtype=torch.int64, device=device)\n    ious: list[float] = []\n",
            ),
            Edit(
                "seglib/training/loop.py",
                old="return Evaluation(loss, matrix.cpu())",
                new='return type("Averaged", (Evaluation,), {"iou": sum(ious) / len(ious)})(loss, matrix.cpu())',
            ),
            Edit(
                "seglib/training/loop.py",
                old="import Evaluation, count_pairs\n",
                new="import Evaluation, count_pairs, iou, mean_iou\n",
            ),
        ),
    ),
    Fault(
        "swap height and width",
        notebooks=("02_transforms",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="steps = [transforms.Resize(size), ",
                new="steps = [transforms.Resize(size[::-1]), ",
            ),
            Edit(
                "seglib/data/transforms.py",
                old="functools.partial(resize_mask, size=size), transforms.ToTensor()",
                new="functools.partial(resize_mask, size=size[::-1]), transforms.ToTensor()",
            ),
        ),
    ),
    Fault(
        "resize the mask bilinearly",
        notebooks=("02_transforms",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="functools.partial(resize_mask, size=size), transforms.ToTensor()",
                new="transforms.Resize(size), transforms.ToTensor()",
            ),
        ),
    ),
    Fault(
        "skip the normalisation",
        notebooks=("02_transforms",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]",
                new="transforms.ToTensor()]",
            ),
        ),
    ),
    Fault(
        "normalise twice",
        notebooks=("02_transforms",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]",
                new="transforms.ToTensor(), *2 * [transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]]",
            ),
        ),
    ),
    Fault(
        "flip the mask on its own",
        notebooks=("02_transforms",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="            v2.RandomHorizontalFlip(),\n",
                new="            _flip_apart,\n",
            ),
            Edit(
                "seglib/data/transforms.py",
                old="def check_size(",
                new="def _flip_apart(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:\n"
                "    flip = v2.RandomHorizontalFlip()\n"
                "    return flip(image), flip(mask)\n"
                "\n"
                "\n"
                "def check_size(",
            ),
        ),
    ),
    Fault(
        "train on the validation pictures too",
        notebooks=("03_dataloader",),
        edits=(
            Edit(
                "seglib/data/splits.py",
                old='return Split(sides["train"], sides["validation"], sides.get("test", []))',
                new='return Split([*sides["train"], *sides["validation"]], sides["validation"])',
            ),
            Edit(
                "seglib/data/splits.py",
                old="for stem, count in counts.items() if count > 1)",
                new="for stem, count in counts.items() if count > 2)",
            ),
            Edit(
                "seglib/data/dataloaders.py",
                old="    if folders[0] == folders[1] and both:\n",
                new="    if False:\n",
            ),
        ),
    ),
    Fault(
        "drop the last validation batch",
        notebooks=("03_dataloader",),
        edits=(
            Edit(
                "seglib/data/dataloaders.py",
                old="shuffle=False, seed=seed), drop_last=False)",
                new="shuffle=False, seed=seed), drop_last=True)",
            ),
        ),
    ),
    Fault(
        "the pretrained weights are not loaded, and the line says that they are",
        notebooks=("04_model",),
        edits=(
            Edit(
                "seglib/model.py",
                old="    model.load_state_dict(fits, strict=False)\n",
                new="",
            ),
        ),
    ),
    Fault(
        "give back aux as out",
        notebooks=("04_model",),
        edits=(
            Edit(
                "seglib/model.py",
                old="    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n",
                new="    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n"
                "    if aux:\n"
                '        model.register_forward_hook(lambda m, i, out: {**out, "out": out["aux"]})\n',
            ),
        ),
    ),
    Fault(
        "no guard against a batch of one",
        notebooks=("04_model",),
        edits=(
            Edit(
                "seglib/model.py",
                old="    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n",
                new="",
            ),
        ),
    ),
    Fault(
        "running means follow ten times too slowly",
        notebooks=("04_model",),
        edits=(
            Edit(
                "seglib/model.py",
                old="            module.momentum = momentum\n",
                new="            module.momentum = momentum / 10\n",
            ),
        ),
    ),
    Fault(
        "let a loss broadcast",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/losses.py",
                old="        right = tuple(masks.shape) == wanted and masks.is_floating_point()\n",
                new="        right = masks.is_floating_point()\n",
            ),
        ),
    ),
    Fault(
        "give each loss the threshold of the other",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/losses.py",
                old='Loss("mse", _mse, _intensity, 0.5)',
                new='Loss("mse", _mse, _intensity, 0.0)',
            ),
            Edit(
                "seglib/losses.py",
                old='Loss("bce", _bce, torch.sigmoid, 0.0)',
                new='Loss("bce", _bce, torch.sigmoid, 0.5)',
            ),
        ),
    ),
    Fault(
        "count ignored pixels as background in the loss",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/losses.py",
                old="    return (pixel_losses * known).sum() / known.sum().clamp(min=1)",
                new="    return pixel_losses.mean()",
            ),
        ),
    ),
    Fault(
        "divide the loss by all pixels, ignored ones too",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/losses.py",
                old="/ known.sum().clamp(min=1)",
                new="/ known.numel()",
            ),
        ),
    ),
    Fault(
        "count ignored pixels in the confusion matrix",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/metrics.py",
                old="    predicted, target = predicted[known], target[known]\n",
                new="    target = target.where(known, torch.zeros_like(target))\n",
            ),
        ),
    ),
    Fault(
        "NaN for a batch without a known pixel",
        notebooks=("05_loss",),
        edits=(
            Edit(
                "seglib/losses.py",
                old="known.sum().clamp(min=1)",
                new="known.sum()",
            ),
        ),
    ),
    Fault(
        "give the head the rate of the backbone",
        notebooks=("06_optimizer",),
        edits=(
            Edit(
                "seglib/optim.py",
                old="in ((backbone, lr), (head, head_lr)):",
                new="in ((backbone, lr), (head, lr)):",
            ),
        ),
    ),
    Fault(
        "train without zero_grad",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="        optimizer.zero_grad()\n",
                new="",
            ),
        ),
    ),
    Fault(
        "step before backward",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="            loss.backward()\n            optimizer.step()\n",
                new="            optimizer.step()\n            loss.backward()\n",
            ),
        ),
    ),
    Fault(
        "count four images for every batch",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                new="        count += 4\n        total_loss += loss.detach() * len(images)\n",
            ),
        ),
    ),
    Fault(
        "average of batch averages",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                new="        count += 1\n        total_loss += loss.detach()\n",
            ),
        ),
    ),
    Fault(
        "evaluation mode while training",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/loop.py",
                old="    model.train()\n",
                new="    model.eval()\n",
            ),
        ),
    ),
    Fault(
        "leave the weights as they are after a loss of NaN",
        notebooks=("07_training_loop",),
        edits=(
            Edit(
                "seglib/training/divergence_guard.py",
                old="        torch._foreach_copy_(self.weights, self.copies[(step - 1) % len(self.copies)])\n",
                new="",
            ),
        ),
    ),
    Fault(
        "normalise bytes with the mean and deviation of floats",
        notebooks=("08_cuda",),
        edits=(
            Edit(
                "seglib/data/normalization.py",
                old="channel.sub_(255 * mean).div_(255 * std)",
                new="channel.div_(255).sub_(mean)",
            ),
        ),
    ),
    Fault(
        "resize the masks of a ByteDataset bilinearly",
        notebooks=("08_cuda",),
        edits=(
            Edit(
                "seglib/data/byte_dataset.py",
                old="resize_labels(torch.from_numpy(np.array(mask)), self.size)",
                new="torch.from_numpy(np.array(mask.resize(self.size[::-1], Image.Resampling.BILINEAR)))",
            ),
        ),
    ),
    Fault(
        "ignore the EXIF orientation in a ByteDataset",
        notebooks=("08_cuda",),
        edits=(
            Edit(
                "seglib/data/image_io.py",
                old="return _UPRIGHT[turn](pixels) if turn in _UPRIGHT else pixels",
                new="return pixels",
            ),
        ),
    ),
    Fault(
        "never look whether a cached file has changed",
        notebooks=("08_cuda",),
        edits=(
            Edit(
                "seglib/data/byte_dataset.py",
                old="modified = image_path.stat().st_mtime_ns, mask_path.stat().st_mtime_ns",
                new="modified = 1, 1",
            ),
        ),
    ),
    Fault(
        "say nothing when the cache is full",
        notebooks=("08_cuda",),
        edits=(
            Edit(
                "seglib/data/shared_cache.py",
                old="        if count < len(names):\n",
                new="        if count > len(names):\n",
            ),
        ),
    ),
    Fault(
        "early stopping keeps the last weights",
        notebooks=("09_when_to_stop",),
        edits=(
            Edit(
                "seglib/training/early_stopping.py",
                old="            self.model.load_state_dict(self.weights)\n",
                new="            pass\n",
            ),
        ),
    ),
    Fault(
        "early stopping keeps the live weights, not a copy",
        notebooks=("09_when_to_stop",),
        edits=(
            Edit(
                "seglib/training/early_stopping.py",
                old="name: tensor.detach().clone() for name, tensor",
                new="name: tensor.detach() for name, tensor",
            ),
        ),
    ),
    Fault(
        "resume without the optimizer's state",
        notebooks=("10_checkpoints",),
        edits=(
            Edit(
                "seglib/training/checkpoint.py",
                old="            part.load_state_dict(saved[name])\n",
                new='            if name != "optimizer":\n                part.load_state_dict(saved[name])\n',
            ),
        ),
    ),
    Fault(
        "resume without the random state",
        notebooks=("10_checkpoints",),
        edits=(
            Edit(
                "seglib/training/checkpoint.py",
                old='        set_rng_state(contents["random"])',
                new="        pass",
            ),
        ),
    ),
    Fault(
        "resume with the first order of the pictures",
        notebooks=("10_checkpoints",),
        edits=(
            Edit(
                "seglib/training/checkpoint.py",
                old='        set_dataloader_state(self.dataloader, contents["loader"])\n',
                new="",
            ),
        ),
    ),
    Fault(
        "write the new checkpoint over the old one",
        notebooks=("10_checkpoints",),
        edits=(
            Edit(
                "seglib/checkpoint_io.py",
                old='    part = path.with_name(path.name + ".part")\n',
                new="    part = path\n",
            ),
        ),
    ),
    Fault(
        "augment the validation pictures",
        notebooks=("09_when_to_stop",),
        edits=(
            Edit(
                "seglib/data/transforms.py",
                old="scales = (0.7, 1.5) if train else (1.0, 1.0)\n",
                new="scales = (0.7, 1.5)\n",
            ),
            Edit(
                "seglib/data/transforms.py",
                old="    if train:\n",
                new="    if True:\n",
            ),
        ),
    ),
    Fault(
        "predict in training mode",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/predict.py",
                old="    trained.model.eval()  # running means",
                new="    trained.model.train()  # running means",
            ),
        ),
    ),
    Fault(
        "give the mask at the model's size",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/predict.py",
                old='    outputs = F.interpolate(outputs[None], size, mode="bilinear")  # (1, C, H, W)\n',
                new="    outputs = outputs[None]\n",
            ),
        ),
    ),
    Fault(
        "a sigmoid for every model, after MSE too",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/predict.py",
                old="trained.criterion.probabilities(outputs)[0] if",
                new="outputs.sigmoid()[0] if",
            ),
        ),
    ),
    Fault(
        "export a model without the normalisation",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/export.py",
                old="self.model((small - self.mean) / self.std)",
                new="self.model(small)",
            ),
        ),
    ),
    Fault(
        "remove the pieces of the smallest size that stays",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/specks.py",
                old="size >= smallest",
                new="size > smallest",
            ),
        ),
    ),
    Fault(
        "overwrite masks unasked",
        notebooks=("11_predict",),
        edits=(
            Edit(
                "seglib/inference/predict_folder.py",
                old='    if there and existing == "refuse":\n',
                new="    if False:\n",
            ),
        ),
    ),
    Fault(
        "take mirrored masks for right ones",
        notebooks=("13_your_own_data",),
        edits=(
            Edit(
                "seglib/doctor/alignment.py",
                old="    if turned[best_turn] > enough:\n",
                new="    if False:\n",
            ),
        ),
    ),
    Fault(
        "find no near-twins across the split",
        notebooks=("13_your_own_data",),
        edits=(
            Edit(
                "seglib/doctor/rules.py",
                old="across_split if len(sides) == 2 else others",
                new="across_split if len(sides) == 3 else others",
            ),
        ),
    ),
    Fault(
        "let every class count as trained",
        notebooks=("13_your_own_data",),
        edits=(
            Edit(
                "seglib/doctor/rules.py",
                old="[name for name, count in counts.items() if not count]",
                new="[name for name, count in counts.items() if count < 0]",
            ),
        ),
    ),
    Fault(
        "take an object for drawn wherever it touches a cell of the coarse grid",
        notebooks=("13_your_own_data",),
        edits=(
            Edit(
                "seglib/doctor/measurements.py",
                old="full[near < 0.5].sum()",
                new="full[near <= 0].sum()",
            ),
        ),
    ),
    Fault(
        "each process takes the loss of its own pictures alone",
        notebooks=("14_many_gpus",),
        edits=(
            Edit(
                "seglib/training/distributed.py",
                old="    return replace(criterion, function=function)\n",
                new="    return criterion\n",
            ),
        ),
    ),
    Fault(
        "each process trains on all pictures of a batch",
        notebooks=("14_many_gpus",),
        edits=(
            Edit(
                "seglib/training/distributed.py",
                old="            return batch[rank() :: world_size()]\n",
                new="            return batch\n",
            ),
        ),
    ),
    Fault(
        "report the confusion matrix of process 0 alone",
        notebooks=("14_many_gpus",),
        edits=(
            Edit(
                "seglib/training/distributed.py",
                old="torch.stack(matrices).sum(dim=0)",
                new="matrices[0]",
            ),
        ),
    ),
    Fault(
        "the same order in every epoch",
        notebooks=("14_many_gpus",),
        edits=(
            Edit(
                "seglib/data/dataloaders.py",
                old="            self.epoch += 1\n",
                new="            pass\n",
            ),
        ),
    ),
    Fault(
        "overwrite a training unasked",
        notebooks=("14_many_gpus",),
        edits=(
            Edit(
                "seglib/cli/train.py",
                old="    if any(found) and not options.resume:\n",
                new="    if False:\n",
            ),
        ),
    ),
    Fault(
        "the check of zero_grad sets the gradients to 0, not to NaN",
        notebooks=("12_silent_bugs",),
        edits=(
            Edit(
                "seglib/lesson/silent_bugs/preflight.py",
                old="torch.full_like(weight, torch.nan)",
                new="torch.zeros_like(weight)",
            ),
        ),
    ),
    Fault(
        "a picture may be in training and in validation",
        notebooks=("12_silent_bugs",),
        edits=(
            Edit(
                "seglib/data/dataloaders.py",
                old="    if folders[0] == folders[1] and both:\n",
                new="    if False:\n",
            ),
        ),
    ),
    Fault(
        "an object of 255 passes into training",
        notebooks=("12_silent_bugs",),
        edits=(
            Edit(
                "seglib/data/dataset.py",
                old="and (mask == IGNORE_INDEX).any():",
                new="and False:",
            ),
        ),
    ),
]
