"""Puts faults into seglib on purpose and sees that a notebook goes red. Used by `make mutants`.

A fault counts as caught only if a cell fails that does more than show annotated source: such a cell changes with every
change of the code, and would catch anything. Each fault is put into a copy of the project; no file here is touched.
Notebooks run side by side, one core each, and only until a cell that counts is red.

    python tools/proofs/mutants.py [name of a fault ...]        writes benchmarks/results/mutants.json when all are asked for
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.machine import machine
from tools.notebooks.environment import ROOT, copy_project

RESULTS = ROOT / "benchmarks" / "results" / "mutants.json"


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file`, each old text, which stands there once, becomes the new one; `notebooks` must go red."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    notebooks: tuple[str, ...]


MUTANTS = [
    Mutant(
        "reverse the file order of the masks",
        "seglib/data/pairing.py",
        (
            (
                "return [(images[stem], masks[stem]) for stem in sorted(images)]",
                "return list(zip(sorted(images.values()), sorted(masks.values(), reverse=True)))",
            ),
        ),
        ("00_start_here", "01_dataset"),
    ),
    Mutant(
        "pair by position",
        "seglib/data/pairing.py",
        (
            ("    if lonely_images or lonely_masks:\n", "    if False:\n"),
            (
                "return [(images[stem], masks[stem]) for stem in sorted(images)]",
                "return list(zip(sorted(images.values()), sorted(masks.values())))",
            ),
        ),
        ("01_dataset",),
    ),
    Mutant(
        "skip EXIF",
        "seglib/data/image_io.py",
        (("    picture = ImageOps.exif_transpose(picture)\n", ""),),
        ("01_dataset",),
    ),
    Mutant(
        "threshold at the wrong value for the loss",
        "seglib/losses.py",
        (("outputs[:, 0] > self.threshold", "outputs[:, 0] > 0.5 - self.threshold"),),
        ("00_start_here",),
    ),
    Mutant(
        "average IoU over batches",
        "seglib/training/loop.py",
        (
            (
                "        matrix = matrix + count_pairs(predicted, masks.view_as(predicted), num_classes)\n",
                "        one = count_pairs(predicted, masks.view_as(predicted), num_classes)\n"
                "        matrix = matrix + one\n"
                "        ious.append(iou(one)[1].item() if len(one) == 2 else mean_iou(one))\n",
            ),
            ("    total_loss, count, matrix = ", "    ious: list[float] = []\n    total_loss, count, matrix = "),
            (
                "return Evaluation(loss, matrix.cpu())",
                'return type("Averaged", (Evaluation,), {"iou": sum(ious) / len(ious)})(loss, matrix.cpu())',
            ),
            ("import Evaluation, count_pairs\n", "import Evaluation, count_pairs, iou, mean_iou\n"),
        ),
        ("00_start_here",),
    ),
    Mutant(
        "swap height and width",
        "seglib/data/transforms.py",
        (
            ("steps = [transforms.Resize(size), ", "steps = [transforms.Resize(size[::-1]), "),
            (
                "transforms.Resize(size, InterpolationMode.NEAREST), transforms.ToTensor()",
                "transforms.Resize(size[::-1], InterpolationMode.NEAREST), transforms.ToTensor()",
            ),
        ),
        ("02_transforms",),
    ),
    Mutant(
        "resize the mask bilinearly",
        "seglib/data/transforms.py",
        (
            (
                "transforms.Resize(size, InterpolationMode.NEAREST), transforms.ToTensor()",
                "transforms.Resize(size, InterpolationMode.BILINEAR), transforms.ToTensor()",
            ),
        ),
        ("02_transforms",),
    ),
    Mutant(
        "skip the normalisation",
        "seglib/data/transforms.py",
        (("transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]", "transforms.ToTensor()]"),),
        ("02_transforms",),
    ),
    Mutant(
        "normalise twice",
        "seglib/data/transforms.py",
        (
            (
                "transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]",
                "transforms.ToTensor(), *2 * [transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]]",
            ),
        ),
        ("02_transforms",),
    ),
    Mutant(
        "flip the mask on its own",
        "seglib/data/transforms.py",
        (
            ("            v2.RandomHorizontalFlip(),\n", "            _flip_apart,\n"),
            (
                "def check_size(",
                "def _flip_apart(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:\n"
                "    flip = v2.RandomHorizontalFlip()\n"
                "    return flip(image), flip(mask)\n\n\n"
                "def check_size(",
            ),
        ),
        ("02_transforms",),
    ),
    Mutant(
        "train on the validation pictures too",
        "seglib/data/splits.py",
        (
            ("    return Split(train, validation)\n", "    return Split([*train, *validation], validation)\n"),
            (
                "if twice := sorted(stem for stem, count in Counter(every).items() if count > 1):",
                "if twice := sorted(stem for stem, count in Counter(every).items() if count > 2):",
            ),
            ("if folders[0] == folders[1] and (both", "if folders[0] != folders[1] and (both"),
        ),
        ("03_dataloader",),
    ),
    Mutant(
        "drop the last validation batch",
        "seglib/data/splits.py",
        (("seed=seed), drop_last=False)", "seed=seed), drop_last=True)"),),
        ("03_dataloader",),
    ),
    Mutant(
        "the pretrained weights are not loaded, and the line says that they are",
        "seglib/model.py",
        (("    model.load_state_dict(fits, strict=False)\n", ""),),
        ("04_model",),
    ),
    Mutant(
        "give back aux as out",
        "seglib/model.py",
        (
            (
                "    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n",
                "    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n"
                "    if aux:\n"
                '        model.register_forward_hook(lambda m, i, out: {**out, "out": out["aux"]})\n',
            ),
        ),
        ("04_model",),
    ),
    Mutant(
        "no guard against a batch of one",
        "seglib/model.py",
        (("    model.register_forward_pre_hook(_refuse_a_batch_of_one)\n", ""),),
        ("04_model",),
    ),
    Mutant(
        "running means follow ten times too slowly",
        "seglib/model.py",
        (("is None else batchnorm_momentum\n", "is None else batchnorm_momentum / 10\n"),),
        ("04_model",),
    ),
    Mutant(
        "let a loss broadcast",
        "seglib/losses.py",
        (
            (
                "        right = tuple(masks.shape) == wanted and masks.is_floating_point()\n",
                "        right = masks.is_floating_point()\n",
            ),
        ),
        ("05_loss",),
    ),
    Mutant(
        "give each loss the threshold of the other",
        "seglib/losses.py",
        (
            ('Loss("mse", _mse, _intensity, 0.5)', 'Loss("mse", _mse, _intensity, 0.0)'),
            ('Loss("bce", _bce, torch.sigmoid, 0.0)', 'Loss("bce", _bce, torch.sigmoid, 0.5)'),
        ),
        ("05_loss",),
    ),
    Mutant(
        "count ignored pixels as background in the loss",
        "seglib/losses.py",
        (("    return (pixel_losses * known).sum() / known.sum().clamp(min=1)", "    return pixel_losses.mean()"),),
        ("05_loss",),
    ),
    Mutant(
        "divide the loss by all pixels, ignored ones too",
        "seglib/losses.py",
        (("/ known.sum().clamp(min=1)", "/ known.numel()"),),
        ("05_loss",),
    ),
    Mutant(
        "count ignored pixels in the confusion matrix",
        "seglib/metrics.py",
        (
            (
                "    predicted, target = predicted[known], target[known]\n",
                "    target = target.where(known, torch.zeros_like(target))\n",
            ),
        ),
        ("05_loss",),
    ),
    Mutant(
        "NaN for a batch without a known pixel",
        "seglib/losses.py",
        (("known.sum().clamp(min=1)", "known.sum()"),),
        ("05_loss",),
    ),
    Mutant(
        "give the head the rate of the backbone",
        "seglib/optim.py",
        (("in ((backbone, lr), (head, head_lr)):", "in ((backbone, lr), (head, lr)):"),),
        ("05_loss",),
    ),
    Mutant(
        "train without zero_grad",
        "seglib/training/loop.py",
        (("        optimizer.zero_grad()\n", ""),),
        ("07_training_loop",),
    ),
    Mutant(
        "step before backward",
        "seglib/training/loop.py",
        (
            (
                "        loss.backward()\n        optimizer.step()\n",
                "        optimizer.step()\n        loss.backward()\n",
            ),
        ),
        ("07_training_loop",),
    ),
    Mutant(
        "count four images for every batch",
        "seglib/training/loop.py",
        (
            (
                "        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                "        count += 4\n        total_loss += loss.detach() * len(images)\n",
            ),
        ),
        ("07_training_loop",),
    ),
    Mutant(
        "average of batch averages",
        "seglib/training/loop.py",
        (
            (
                "        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                "        count += 1\n        total_loss += loss.detach()\n",
            ),
        ),
        ("07_training_loop",),
    ),
    Mutant(
        "evaluation mode while training",
        "seglib/training/loop.py",
        (("    model.train()\n", "    model.eval()\n"),),
        ("07_training_loop",),
    ),
    Mutant(
        "leave the weights as a NaN made them",
        "seglib/training/divergence_guard.py",
        (("                live.copy_(kept)\n", "                pass\n"),),
        ("07_training_loop",),
    ),
    Mutant(
        "normalise bytes with the numbers for floats",
        "seglib/training/precision.py",
        (("channel.sub_(255 * mean).div_(255 * std)", "channel.div_(255).sub_(mean)"),),
        ("08_cuda",),
    ),
    Mutant(
        "resize the masks of the fast road bilinearly",
        "seglib/data/byte_dataset.py",
        (("mask.resize(self.size[::-1], Image.Resampling.NEAREST)", "mask.resize(self.size[::-1])"),),
        ("08_cuda",),
    ),
    Mutant(
        "skip EXIF on the fast road",
        "seglib/data/byte_dataset.py",
        (("return _UPRIGHT[turn](pixels) if turn in _UPRIGHT else pixels", "return pixels"),),
        ("08_cuda",),
    ),
    Mutant(
        "never look whether a cached file has changed",
        "seglib/data/byte_dataset.py",
        (("stamp = paths[0].stat().st_mtime_ns, paths[1].stat().st_mtime_ns", "stamp = 1, 1"),),
        ("08_cuda",),
    ),
    Mutant(
        "say nothing when the cache is full",
        "seglib/data/shared_cache.py",
        (("        if count < len(names):\n", "        if count > len(names):\n"),),
        ("08_cuda",),
    ),
    Mutant(
        "early stopping keeps the last weights",
        "seglib/training/early_stopping.py",
        (("            self.model.load_state_dict(self.weights)\n", "            pass\n"),),
        ("09_when_to_stop",),
    ),
    Mutant(
        "early stopping keeps the live weights, not a copy",
        "seglib/training/early_stopping.py",
        (("name: tensor.detach().clone() for name, tensor", "name: tensor.detach() for name, tensor"),),
        ("09_when_to_stop",),
    ),
    Mutant(
        "resume without the optimizer's state",
        "seglib/training/checkpoint.py",
        (
            (
                "            part.load_state_dict(saved[name])\n",
                '            if name != "optimizer":\n                part.load_state_dict(saved[name])\n',
            ),
        ),
        ("09_when_to_stop",),
    ),
    Mutant(
        "resume without the random state",
        "seglib/training/checkpoint.py",
        (('        states.set_rng_state(contents["random"])  # last: nothing after it draws a number\n', ""),),
        ("09_when_to_stop",),
    ),
    Mutant(
        "resume with the first order of the pictures",
        "seglib/training/checkpoint.py",
        (('        states.set_dataloader_state(self.loader, contents["loader"])\n', ""),),
        ("09_when_to_stop",),
    ),
    Mutant(
        "write on the good checkpoint",
        "seglib/checkpoint_io.py",
        (
            (
                '    new, before = path.with_name(path.name + ".part"), backup_path(path)\n',
                "    new, before = path, backup_path(path)\n",
            ),
        ),
        ("09_when_to_stop",),
    ),
    Mutant(
        "augment the validation pictures",
        "seglib/data/transforms.py",
        (
            ("scales=(0.7, 1.5) if train else (1.0, 1.0))]", "scales=(0.7, 1.5))]"),
            ("    if train:\n", "    if True:\n"),
        ),
        ("09_when_to_stop",),
    ),
    Mutant(
        "predict in training mode",
        "seglib/inference/predict.py",
        (("    trained.model.eval()  # running means", "    trained.model.train()  # running means"),),
        ("11_predict",),
    ),
    Mutant(
        "give the mask at the model's size",
        "seglib/inference/predict.py",
        (
            (
                '    outputs = F.interpolate(outputs[None], size, mode="bilinear")  # (1, C, H, W)\n',
                "    outputs = outputs[None]\n",
            ),
        ),
        ("11_predict",),
    ),
    Mutant(
        "a sigmoid for every model, after MSE too",
        "seglib/inference/predict.py",
        (("trained.criterion.probabilities(outputs)[0] if", "outputs.sigmoid()[0] if"),),
        ("11_predict",),
    ),
    Mutant(
        "overwrite masks unasked",
        "seglib/inference/predict_folder.py",
        (('    if there and existing == "refuse":\n', "    if False:\n"),),
        ("11_predict",),
    ),
    Mutant(
        "take mirrored masks for right ones",
        "seglib/doctor/alignment.py",
        (("    if turned[best] > enough:\n", "    if False:\n"),),
        ("13_your_own_data",),
    ),
    Mutant(
        "find no twins across the split",
        "seglib/doctor/rules.py",
        (("- {None}) == 2\n", "- {None}) == 3\n"),),
        ("13_your_own_data",),
    ),
    Mutant(
        "let every class count as trained",
        "seglib/doctor/report.py",
        (("for name, count in counts.items() if not count]", "for name, count in counts.items() if count < 0]"),),
        ("13_your_own_data",),
    ),
    Mutant(
        "believe that the grid draws whatever touches it",
        "seglib/doctor/measurements.py",
        (("full[near < 0.5].sum()", "full[near <= 0].sum()"),),
        ("13_your_own_data",),
    ),
    Mutant(
        "every process with the loss of its own part",
        "seglib/training/distributed.py",
        (("    return replace(criterion, function=of_all)\n", "    return criterion\n"),),
        ("14_many_gpus",),
    ),
    Mutant(
        "every process with all pictures",
        "seglib/training/distributed.py",
        (("else batch[rank() :: processes()]", "else batch"),),
        ("14_many_gpus",),
    ),
    Mutant(
        "the confusion matrix of process 0 alone",
        "seglib/training/distributed.py",
        (("torch.stack(matrices).sum(dim=0)", "matrices[0]"),),
        ("14_many_gpus",),
    ),
    Mutant(
        "the same order in every epoch",
        "seglib/data/dataloaders.py",
        (("        self.epoch += self.shuffle  # another order next time\n", ""),),
        ("14_many_gpus",),
    ),
    Mutant(
        "overwrite a training unasked",
        "seglib/train.py",
        (("    if there and not options.resume:\n", "    if False:\n"),),
        ("14_many_gpus",),
    ),
    Mutant(
        "the poison of the check is no poison",
        "seglib/lesson/silent_bugs/preflight.py",
        (("torch.full_like(weight, torch.nan)", "torch.zeros_like(weight)"),),
        ("12_silent_bugs",),
    ),
    Mutant(
        "a picture may stand on both sides",
        "seglib/data/splits.py",
        (("if folders[0] == folders[1] and (both", "if folders[0] != folders[1] and (both"),),
        ("12_silent_bugs",),
    ),
    Mutant(
        "a fruit of 255 passes into training",
        "seglib/data/dataset.py",
        (("and (mask == IGNORE_INDEX).any():", "and False:"),),
        ("12_silent_bugs",),
    ),
]


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the fault in it."""
    for old, new in mutant.edits:
        if text.count(old) != 1:
            raise SystemExit(f"{mutant.name}: this stands {text.count(old)} times in {mutant.file}, not once:\n{old}")
        text = text.replace(old, new)
    return text


def red_cells(tree: Path, stem: str) -> list[int]:
    """The numbers, from 1, of the code cells that strict nbval finds failing in a notebook of `tree`.

    It stops when more cells have failed than there are annotated sources, for then one of them counts.
    """
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    where = [sys.executable, "-c", "import seglib; print(seglib.__file__)"]
    found = subprocess.run(where, cwd=tree / "notebooks", env=environment, capture_output=True, text=True)
    if found.returncode or not Path(found.stdout.strip()).resolve().is_relative_to(tree.resolve()):
        raise SystemExit(f"a kernel would import seglib from elsewhere: {found.stdout}{found.stderr}")
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    enough = 1 + sum("annotate(" in source for source in code_cells(tree, stem))
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=900", f"--maxfail={enough}"]
    command += [f"notebooks/{stem}.ipynb"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {stem}:\n{done.stdout}{done.stderr}")
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return [
        int(case.get("name", "").removeprefix("Cell ")) + 1
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def code_cells(tree: Path, stem: str) -> list[str]:
    notebook = json.loads((tree / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def verdict(tree: Path, stem: str) -> dict[str, object]:
    """What a notebook of the tree with a fault says: which cells are red, and the first that counts."""
    begin = time.perf_counter()
    red, sources = red_cells(tree, stem), code_cells(tree, stem)
    counting = [number for number in red if "annotate(" not in sources[number - 1]]
    first = counting[0] if counting else None
    return {
        "notebook": stem,
        "caught": first is not None,
        "by_code_cell": first,
        "which_begins": sources[first - 1].splitlines()[0] if first else None,
        "red_code_cells": red,
        "seconds": round(time.perf_counter() - begin),
    }


def put_in(mutant: Mutant, stem: str) -> dict[str, object]:
    """The verdict of one notebook on one fault, in a copy of the project of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_project(tree)
        file = tree / mutant.file
        file.write_text(mutated(file.read_text(encoding="utf-8"), mutant), encoding="utf-8")
        found = verdict(tree, stem)
    by = f"code cell {found['by_code_cell']}, {found['which_begins']!r}" if found["caught"] else "no cell: IT SURVIVES"
    print(f"{mutant.name}, {stem}: caught by {by} ({found['seconds']} s)", flush=True)
    return {"fault": mutant.name, "file": mutant.file, **found}


def without_fault(stem: str) -> None:
    """Stop everything if a notebook is red as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        if red := red_cells(Path(folder), stem):
            raise SystemExit(f"{stem} is red without any fault, in code cells {red}: mend that first")


def main() -> int:
    wanted = [mutant for mutant in MUTANTS if not sys.argv[1:] or mutant.name in sys.argv[1:]]
    if not wanted:
        raise SystemExit(f"known faults: {', '.join(mutant.name for mutant in MUTANTS)}")
    for mutant in wanted:  # before minutes are spent: does every fault still fit the code?
        mutated((ROOT / mutant.file).read_text(encoding="utf-8"), mutant)
    cases = [(mutant, stem) for mutant in wanted for stem in mutant.notebooks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(without_fault, sorted({stem for _, stem in cases})))
        results = list(pool.map(put_in, *zip(*cases, strict=True)))
    survivors = sum(not result["caught"] for result in results)
    if wanted == MUTANTS:
        what = "faults put into seglib, and the first cell of each notebook that goes red"
        stored = {"what": what, "machine": machine(), "survivors": survivors, "faults": results}
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(wanted)} faults, {survivors} times a notebook stayed green")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
