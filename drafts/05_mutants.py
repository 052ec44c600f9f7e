    Mutant(
        "let a loss broadcast",
        "seglib/losses.py",
        (
            (
                "        right = tuple(masks.shape) == wanted and masks.is_floating_point()\n",
                "        right = masks.is_floating_point()\n",
            ),
        ),
        ("05_loss_and_optimizer",),
    ),
    Mutant(
        "give each loss the threshold of the other",
        "seglib/losses.py",
        (
            ('Loss("mse", _mse, _intensity, 0.5)', 'Loss("mse", _mse, _intensity, 0.0)'),
            ('Loss("bce", _bce, torch.sigmoid, 0.0)', 'Loss("bce", _bce, torch.sigmoid, 0.5)'),
        ),
        ("05_loss_and_optimizer",),
    ),
    Mutant(
        "count ignored pixels as background in the loss",
        "seglib/losses.py",
        (("    return (pixel_losses * known).sum() / known.sum().clamp(min=1)", "    return pixel_losses.mean()"),),
        ("05_loss_and_optimizer",),
    ),
    Mutant(
        "divide the loss by all pixels, ignored ones too",
        "seglib/losses.py",
        (("/ known.sum().clamp(min=1)", "/ known.numel()"),),
        ("05_loss_and_optimizer",),
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
        ("05_loss_and_optimizer",),
    ),
    Mutant(
        "NaN for a batch without a known pixel",
        "seglib/losses.py",
        (("known.sum().clamp(min=1)", "known.sum()"),),
        ("05_loss_and_optimizer",),
    ),
    Mutant(
        "give the head the rate of the backbone",
        "seglib/optim.py",
        (("in ((backbone, lr), (head, head_lr)):", "in ((backbone, lr), (head, lr)):"),),
        ("05_loss_and_optimizer",),
    ),
