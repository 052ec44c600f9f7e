"""Owns the faults of 12_silent_bugs: which line of the plain script each changes.

Four lists. `BUGS` are seventeen, `MORE_BUGS` twelve that came later. `LATE_BUGS` are six that were thought of after the
checks of `preflight` were first written. Then the checks were mended, after a review that tried them on scripts of
other kinds and did not know which of the six they find. `LAST_BUGS` are six more that were thought of after that, and
after which nothing in the checks was changed, but for limits that are set on scripts without a fault, and for pictures
in which too much is drawn: a reader saw that recall printed as IoU passed.

`RIGHT_CHANGES` are no faults: scripts of other kinds, on which a check may raise a false alarm. Most of them are those
for which the checks were mended.
"""

import inspect
from dataclasses import dataclass
from types import ModuleType

from seglib.errors import SegError
from seglib.lesson.silent_bugs import plain_script

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bug:
    """A fault that raises no error.

    `edits` are pairs of text, (right, wrong). The right one stands exactly once in the plain script.
    """

    name: str
    words: str
    edits: Edits


# The line of `evaluate`; the same line stands in `train_one_epoch`, before another one.
_OUTPUTS_IN_EVALUATE = 'outputs = model(normalize(images))["out"]\n        matrices'
BUGS = {
    bug.name: bug
    for bug in (
        Bug(
            "image flipped, mask not",
            "Half of the batches are mirrored, and their masks are not.",
            (("masks = images.flip(-1), masks.flip(-1)", "masks = images.flip(-1), masks"),),
        ),
        Bug(
            "masks shifted by one file",
            "Each picture gets its neighbour's mask, as if one file were missing and pairs were made by position.",
            (
                (
                    'f"{stem}.png") for stem in stems]',
                    'f"{mask}.png") for stem, mask in zip(stems, stems[1:] + stems[:1])]',
                ),
            ),
        ),
        Bug(
            "mask resized smoothly",
            "The mask is resized like a photograph, and whatever is not 0 afterwards is fruit.",
            (("Image.Resampling.NEAREST)", "Image.Resampling.BILINEAR)"), ("> 127)", "> 0)")),
        ),
        Bug(
            "height and width exchanged",
            "(height, width) is taken for (width, height): every picture is squeezed into a portrait.",
            (("    height, width = size\n", "    width, height = size\n"),),
        ),
        Bug(
            "sigmoid twice",
            "The outputs go through a sigmoid, and the loss, which takes logits, applies another.",
            (
                ('"out"]\n        loss', '"out"].sigmoid()\n        loss'),
                ('"out"]\n        matrices', '"out"].sigmoid()\n        matrices'),
                ("(outputs > 0)", "(outputs > 0.5)"),
            ),
        ),
        Bug(
            "threshold of another loss",
            "Logits are cut at 0.5, as if they were intensities.",
            (("(outputs > 0)", "(outputs > 0.5)"),),
        ),
        Bug(
            "mask without its channel",
            "MSE by hand, on masks (N, H, W): each output is compared with every mask of the batch.",
            (
                (
                    "F.binary_cross_entropy_with_logits(outputs, masks)",
                    "((outputs.sigmoid() - masks[:, 0]) ** 2).mean()",
                ),
            ),
        ),
        Bug(
            "optimizer before the new layer",
            "The optimizer is made first, then the last layer is replaced: it never hears of the new one.",
            (
                ("    model.classifier[4] = nn.Conv2d(256, 1, kernel_size=1)\n", ""),
                ("lr=lr)\n", "lr=lr)\n    model.classifier[4] = nn.Conv2d(256, 1, kernel_size=1).to(DEVICE)\n"),
            ),
        ),
        Bug("no zero_grad", "Gradients are never cleared.", (("        optimizer.zero_grad()\n", ""),)),
        Bug(
            "schedule once an epoch",
            "The schedule counts in steps, and is called once an epoch: eight epochs of warm-up.",
            (
                (
                    "        scheduler.step()\n        losses.append(loss.item())\n",
                    "        losses.append(loss.item())\n    scheduler.step()\n",
                ),
            ),
        ),
        Bug(
            "never back in training mode",
            "train() is called once, as in the notes, and the first evaluation switches it off for good.",
            (("    model.train()\n    losses = []\n", "    losses = []\n"),),
        ),
        Bug("measured in training mode", "evaluate does not call eval().", (("    model.eval()\n", ""),)),
        Bug(
            "validation not normalised",
            "Training pictures are normalised, validation pictures are not.",
            ((_OUTPUTS_IN_EVALUATE, _OUTPUTS_IN_EVALUATE.replace("normalize(images)", "images")),),
        ),
        Bug(
            "blue and red exchanged",
            "Validation pictures come from a library that stores blue first.",
            ((_OUTPUTS_IN_EVALUATE, _OUTPUTS_IN_EVALUATE.replace("(images)", "(images.flip(1))")),),
        ),
        Bug(
            "last validation batch dropped",
            "drop_last=True is right for training, and was copied to validation.",
            (("DataLoader(pairs, batch_size)", "DataLoader(pairs, batch_size, drop_last=True)"),),
        ),
        Bug(
            "IoU averaged over batches",
            "The mean of the batches' IoUs instead of the IoU of all pixels.",
            (
                (
                    "iou(torch.stack(matrices).sum(0))[1].item()",
                    "sum(iou(matrix)[1].item() for matrix in matrices) / len(matrices)",
                ),
            ),
        ),
        Bug(
            "trained on validation too",
            "The list of validation pictures was added to the training list.",
            (('stems["train"], size)', 'stems["train"] + stems["validation"], size)'),),
        ),
    )
}

_FLIP = "        if torch.rand(()) < 0.5:\n            images, masks = images.flip(-1), masks.flip(-1)\n"
MORE_BUGS = {
    bug.name: bug
    for bug in (
        Bug(
            "best weights without a copy",
            "The best weights are remembered, not copied: the training goes on and changes them.",
            (("copy.deepcopy(model.state_dict())", "model.state_dict()"),),
        ),
        Bug(
            "strict=False and a prefix",
            "The names in the file begin with `module.`, so none fits, and strict=False says nothing.",
            (
                (
                    "    state = load_tensors(bundled_weights_path())\n    model.load_state_dict(state)\n",
                    "    state = load_tensors(bundled_weights_path())\n"
                    '    state = {f"module.{name}": weight for name, weight in state.items()}\n'
                    "    model.load_state_dict(state, strict=False)\n",
                ),
            ),
        ),
        Bug(
            "bytes not divided by 255",
            "Pixels of 0 to 255 are normalised as if they were 0 to 1, in training and in validation.",
            ((".permute(2, 0, 1) / 255", ".permute(2, 0, 1).float()"),),
        ),
        Bug(
            "blue and red exchanged twice",
            "All pictures come from a library that stores blue first, in training and in validation.",
            ((".permute(2, 0, 1) / 255", ".permute(2, 0, 1).flip(0) / 255"),),
        ),
        Bug(
            "backbone left frozen",
            "The backbone was frozen for a first try, and stayed so.",
            (("    optimizer = optim.Adam", "    model.backbone.requires_grad_(False)\n    optimizer = optim.Adam"),),
        ),
        Bug(
            "masks moved by 6 pixels",
            "Each mask lies 6 of 160 pixels to the right of its fruit, in training and in validation.",
            (("> 127).float()[None]", "> 127).float()[None].roll(6, -1)"),),
        ),
        Bug(
            "mirrored validation in training",
            "Mirrored copies of the validation pictures lie among the training pictures.",
            (
                (
                    "    return train_pairs, validation_pairs\n",
                    "    train_pairs += [(image.flip(-1), mask.flip(-1)) for image, mask in validation_pairs]\n"
                    "    return train_pairs, validation_pairs\n",
                ),
            ),
        ),
        Bug(
            "shifted separately",
            "Image and mask are each shifted at random, by up to 8 pixels, and not by the same.",
            (
                (
                    _FLIP,
                    _FLIP + "        shift, other_shift = torch.randint(-8, 9, (2,)).tolist()\n"
                    "        images, masks = images.roll(shift, -1), masks.roll(other_shift, -1)\n",
                ),
            ),
        ),
        Bug(
            "colour changes in validation",
            "The brightness of validation pictures is changed at random, by up to a half.",
            (
                (
                    _OUTPUTS_IN_EVALUATE,
                    _OUTPUTS_IN_EVALUATE.replace(
                        "(images)", "(images * (0.5 + torch.rand(len(images), 1, 1, 1, device=images.device)))"
                    ),
                ),
            ),
        ),
        Bug(
            "mean IoU printed as IoU",
            "The mean of fruit and background is printed as if it were the IoU of the fruit.",
            ((".sum(0))[1].item()", ".sum(0)).mean().item()"),),
        ),
        Bug(
            "masks inverted",
            "The mask's file has 255 for the background, and the script takes 255 for fruit.",
            (("np.array(mask)) > 127)", "255 - np.array(mask)) > 127)"),),
        ),
        Bug(
            "seed set in each epoch",
            "The random numbers begin anew in each epoch. (Here it does no harm.)",
            (
                (
                    "    losses = []\n    for images, masks",
                    "    losses = []\n    torch.manual_seed(0)\n    for images, masks",
                ),
            ),
        ),
    )
}
HARMLESS = "seed set in each epoch"

LATE_BUGS = {
    bug.name: bug
    for bug in (
        Bug(
            "softmax over one channel",
            "With one channel a softmax gives 1 for every pixel.",
            (('"out"]\n        loss', '"out"].softmax(1)\n        loss'),),
        ),
        Bug(
            "loss of the first picture only",
            "An index too many: of each batch only the first picture counts.",
            (("with_logits(outputs, masks)", "with_logits(outputs[0], masks[0])"),),
        ),
        Bug(
            "weight decay of 1",
            "Adam gets weight_decay=1.0 instead of 0.0001.",
            (("model.parameters(), lr=lr)", "model.parameters(), lr=lr, weight_decay=1.0)"),),
        ),
        Bug(
            "brighter validation in training",
            "Copies of the validation pictures, a fifth brighter, lie among the training pictures.",
            (
                (
                    "    return train_pairs, validation_pairs\n",
                    "    train_pairs += [((1.2 * image).clamp(max=1), mask) for image, mask in validation_pairs]\n"
                    "    return train_pairs, validation_pairs\n",
                ),
            ),
        ),
        Bug(
            "pixel accuracy printed as IoU",
            "The share of right pixels is printed as if it were the IoU.",
            (
                (
                    "iou(torch.stack(matrices).sum(0))[1].item()",
                    "(torch.stack(matrices).sum(0).diag().sum() / torch.stack(matrices).sum()).item()",
                ),
            ),
        ),
        Bug(
            "best of the losses kept",
            "The weights with the highest loss are kept, since the comparison was written for an IoU.",
            (("if scores[-1] == max(scores):", "if losses[-1] == max(losses[1::2]):"),),
        ),
    )
}

LAST_BUGS = {
    bug.name: bug
    for bug in (
        Bug(
            "one step an epoch",
            "Zeroing and step stand before and after the loop: gradients of the whole epoch, one step.",
            (
                (
                    "    losses = []\n    for images, masks",
                    "    losses = []\n    optimizer.zero_grad()\n    for images, masks",
                ),
                ("        optimizer.zero_grad()\n", ""),
                (
                    "        optimizer.step()\n        scheduler.step()\n        losses.append(loss.item())\n",
                    "        losses.append(loss.item())\n    optimizer.step()\n    scheduler.step()\n",
                ),
            ),
        ),
        Bug(
            "normalised twice",
            "Pictures are normalised a second time, in training and in validation.",
            (("return (images - MEAN) / STD", "return ((images - MEAN) / STD - MEAN) / STD"),),
        ),
        Bug(
            "thumbnails enlarged",
            "Pictures come from a folder of thumbnails, 40 wide and 30 high, and are enlarged.",
            (('.convert("RGB").resize(', '.convert("RGB").resize((width // 4, height // 4)).resize('),),
        ),
        Bug(
            "weight on the wrong class",
            "Fruit counts a tenth, where it should count ten times.",
            (("with_logits(outputs, masks)", "with_logits(outputs, masks, pos_weight=masks.new_tensor(0.1))"),),
        ),
        Bug(
            "four pictures only",
            "A slice from a first try was left in: four pictures are trained on.",
            (('stems["train"], size)', 'stems["train"][:4], size)'),),
        ),
        Bug(
            "measured on the first batch",
            "The return stands inside the loop: one batch of validation pictures is measured.",
            (("    return iou(torch.stack", "        return iou(torch.stack"),),
        ),
    )
}
ALL_BUGS = BUGS | MORE_BUGS | LATE_BUGS | LAST_BUGS

_IMPORT = "from torch.utils.data import DataLoader\n"
_V2 = (_IMPORT, f"{_IMPORT}from torchvision.transforms import v2\n")
RIGHT_CHANGES = {
    bug.name: bug
    for bug in (
        Bug(
            "zero_grad after the step",
            "The order of PyTorch's Quickstart.",
            (
                ("        optimizer.zero_grad()\n", ""),
                ("        optimizer.step()\n", "        optimizer.step()\n        optimizer.zero_grad()\n"),
            ),
        ),
        Bug(
            "gradients of four batches",
            "A step is taken after every fourth batch.",
            (
                ("        optimizer.zero_grad()\n", ""),
                ("        loss.backward()\n", "        (loss / 4).backward()\n"),
                (
                    "        optimizer.step()\n",
                    "        if len(losses) % 4 == 3:\n"
                    "            optimizer.step()\n            optimizer.zero_grad()\n",
                ),
            ),
        ),
        Bug(
            "GradScaler",
            "The loss is scaled, as for half precision.",
            (
                (
                    "    losses = []\n    for images, masks",
                    "    losses = []\n    scaler = torch.amp.GradScaler(DEVICE.type)\n    for images, masks",
                ),
                (
                    "        loss.backward()\n        optimizer.step()\n",
                    "        scaler.scale(loss).backward()\n        scaler.step(optimizer)\n        scaler.update()\n",
                ),
            ),
        ),
        Bug(
            "auxiliary head left out",
            "The model has an auxiliary head, and the loss does not use it.",
            (
                ("weights=None, verbose", "weights=None, aux=True, verbose"),
                ("load_state_dict(state)", "load_state_dict(state, strict=False)"),
            ),
        ),
        Bug("no pretraining", "Random weights, on purpose.", (("    model.load_state_dict(state)\n", ""),)),
        Bug(
            "SGD with momentum",
            "Instead of Adam, at the same rate.",
            (("optim.Adam(model.parameters(), lr=lr)", "optim.SGD(model.parameters(), lr=lr, momentum=0.9)"),),
        ),
        Bug(
            "head at ten times the rate",
            "Two groups of weights.",
            (
                (
                    "optim.Adam(model.parameters(), lr=lr)",
                    'optim.Adam(\n        [{"params": model.backbone.parameters()}, '
                    '{"params": model.classifier.parameters(), "lr": 10 * lr}], lr=lr\n    )',
                ),
            ),
        ),
        Bug(
            "warm-up from 0",
            "The rate of the first step is 0.",
            (
                (
                    "optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=min(8, steps))",
                    "optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step / min(8, steps)))",
                ),
            ),
        ),
        Bug(
            "warm-up of 500 steps", "However many steps there are.", (("total_iters=min(8, steps)", "total_iters=500"),)
        ),
        Bug(
            "pixels from 0 to 1",
            "Not normalised, in training and in validation.",
            (("return (images - MEAN) / STD", "return images"),),
        ),
        Bug(
            "colour changes in training",
            "Brightness, contrast and saturation by up to 0.4, hue by up to 0.1.",
            (_V2, (_FLIP, f"{_FLIP}        images = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)(images)\n")),
        ),
        Bug(
            "strong colour changes in training",
            "By up to 0.8, hue by up to 0.2.",
            (_V2, (_FLIP, f"{_FLIP}        images = v2.ColorJitter(0.8, 0.8, 0.8, 0.2)(images)\n")),
        ),
        Bug(
            "sometimes gray in training",
            "A fifth of the batches.",
            (_V2, (_FLIP, f"{_FLIP}        images = v2.RandomGrayscale(0.2)(images)\n")),
        ),
        Bug(
            "turned by up to 45 degrees",
            "Image and mask together, with black corners.",
            (
                _V2,
                (
                    _FLIP,
                    f"{_FLIP}        angle = 90 * torch.rand(()).item() - 45\n"
                    "        images = v2.functional.rotate(images, angle, v2.InterpolationMode.BILINEAR)\n"
                    "        masks = v2.functional.rotate(masks, angle)\n",
                ),
            ),
        ),
        Bug(
            "pictures mixed",
            "MixUp: each picture and mask is mixed with another of its batch.",
            (
                (
                    _FLIP,
                    f"{_FLIP}        share = torch.distributions.Beta(0.4, 0.4).sample()\n"
                    "        images = share * images + (1 - share) * images.flip(0)\n"
                    "        masks = share * masks + (1 - share) * masks.flip(0)\n",
                ),
            ),
        ),
        Bug(
            "label smoothing",
            "Masks of 0.05 and 0.95 in the loss.",
            (("with_logits(outputs, masks)", "with_logits(outputs, 0.9 * masks + 0.05)"),),
        ),
        Bug(
            "loss summed",
            "Over all pixels, not averaged.",
            (("with_logits(outputs, masks)", 'with_logits(outputs, masks, reduction="sum")'),),
        ),
        Bug(
            "mean over pictures",
            "The IoU of each picture, and their mean: another measure.",
            (
                (
                    "matrices.append(confusion_matrix((outputs > 0).long(), masks.long()))",
                    "matrices += [confusion_matrix((o > 0).long(), m.long()) for o, m in zip(outputs, masks)]",
                ),
                (
                    "iou(torch.stack(matrices).sum(0))[1].item()",
                    "sum(iou(matrix)[1].item() for matrix in matrices) / len(matrices)",
                ),
            ),
        ),
        Bug(
            "validation shuffled",
            "The order of validation pictures is another each time.",
            (("DataLoader(pairs, batch_size)", "DataLoader(pairs, batch_size, shuffle=True)"),),
        ),
        Bug(
            "modes set in the main loop",
            "train() and eval() are called around the two functions, not in them.",
            (
                ("    model.train()\n    losses = []\n", "    losses = []\n"),
                ("    model.eval()\n", ""),
                (
                    "        losses.append(train_one_epoch",
                    "        model.train()\n        losses.append(train_one_epoch",
                ),
                ("            scores.append(evaluate", "            model.eval()\n            scores.append(evaluate"),
            ),
        ),
    )
}


def source_with(bug: str | None = None) -> str:
    """The source of the plain script, with one of `ALL_BUGS` or `RIGHT_CHANGES` in it, or as it is.

    Raises:
        SegError: there is no such change, or what it changes does not stand in the script exactly once.
    """
    changes = ALL_BUGS | RIGHT_CHANGES
    if bug is not None and bug not in changes:
        raise SegError(f"There is no bug {bug!r}.", f"one of {', '.join(changes)}", "Correct the name.")
    source = inspect.getsource(plain_script)
    for right, wrong in changes[bug].edits if bug else ():
        if source.count(right) != 1:
            raise SegError(f"{right!r} stands {source.count(right)} times in the script.", "once", f"Mend {bug!r}.")
        source = source.replace(right, wrong)
    return source


def script_with(bug: str | None = None) -> ModuleType:
    """The plain script as a module, with one of these changes in it, or as it is; errors are those of `source_with`."""
    module = ModuleType("script")
    exec(compile(source_with(bug), "script", "exec"), module.__dict__)  # our own file, and our own change to it
    return module
