"""Owns the faults of 12_silent_bugs: which line of the plain script each changes."""

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
            (('return stems["train"], ', 'return stems["train"] + stems["validation"], '),),
        ),
    )
}


def source_with(bug: str | None = None) -> str:
    """The source of the plain script, with one of `BUGS` in it, or as it is.

    Raises:
        SegError: there is no such bug, or what it changes does not stand in the script exactly once.
    """
    if bug is not None and bug not in BUGS:
        raise SegError(f"There is no bug {bug!r}.", f"one of {', '.join(BUGS)}", "Correct the name.")
    source = inspect.getsource(plain_script)
    for right, wrong in BUGS[bug].edits if bug else ():
        if source.count(right) != 1:
            raise SegError(f"{right!r} stands {source.count(right)} times in the script.", "once", f"Mend {bug!r}.")
        source = source.replace(right, wrong)
    return source


def script_with(bug: str | None = None) -> ModuleType:
    """The plain script as a module, with one of `BUGS` in it, or as it is; errors are those of `source_with`."""
    module = ModuleType("script")
    exec(compile(source_with(bug), "script", "exec"), module.__dict__)  # our own file, and our own change to it
    return module
