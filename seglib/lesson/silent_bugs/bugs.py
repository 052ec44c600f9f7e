"""Owns the faults of 12_silent_bugs: which line of the plain script each changes.

Three lists. `BUGS` are seventeen, `MORE_BUGS` twelve that came later, `LATE_BUGS` six that were thought of after the
checks of `preflight` and their limits were finished, and after which nothing in them was changed.
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
ALL_BUGS = BUGS | MORE_BUGS | LATE_BUGS


def source_with(bug: str | None = None) -> str:
    """The source of the plain script, with one of `ALL_BUGS` in it, or as it is.

    Raises:
        SegError: there is no such bug, or what it changes does not stand in the script exactly once.
    """
    if bug is not None and bug not in ALL_BUGS:
        raise SegError(f"There is no bug {bug!r}.", f"one of {', '.join(ALL_BUGS)}", "Correct the name.")
    source = inspect.getsource(plain_script)
    for right, wrong in ALL_BUGS[bug].edits if bug else ():
        if source.count(right) != 1:
            raise SegError(f"{right!r} stands {source.count(right)} times in the script.", "once", f"Mend {bug!r}.")
        source = source.replace(right, wrong)
    return source


def script_with(bug: str | None = None) -> ModuleType:
    """The plain script as a module, with one of `ALL_BUGS` in it, or as it is; errors are those of `source_with`."""
    module = ModuleType("script")
    exec(compile(source_with(bug), "script", "exec"), module.__dict__)  # our own file, and our own change to it
    return module
