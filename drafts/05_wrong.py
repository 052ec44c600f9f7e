    ("05_loss_and_optimizer", "known_pixels"): [
        ("def my_loss(outputs, masks):\n    return ((outputs - masks) ** 2).mean()", "255 is taken for a number"),
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return (((outputs - masks) ** 2) * known).mean()",
            "Divide by those that count",
        ),
        (
            "def my_loss(outputs, masks):\n    return ((outputs - masks.where(masks != 255, 0)) ** 2).mean()",
            "255 counts as background",
        ),
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return ((outputs - masks)[known] ** 2).mean()",
            "0 / 0 is NaN",
        ),
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return (((outputs - masks) ** 2)[known].sum() / known.sum().clamp(min=1)).item()",
            "no gradient leads back",
        ),
    ],
    ("05_loss_and_optimizer", "dice_loss"): [
        (
            "def my_dice_loss(probabilities, masks):\n"
            "    return (2 * (probabilities * masks).sum() + 1) / (probabilities.sum() + masks.sum() + 1)",
            "this is Dice itself",
        ),
        (
            "def my_dice_loss(probabilities, masks):\n"
            "    found = (probabilities > 0.5).float()\n"
            "    return 1 - (2 * (found * masks).sum() + 1) / (found.sum() + masks.sum() + 1)",
            "A step has no slope",
        ),
        (
            "def my_dice_loss(probabilities, masks):\n"
            "    return 1 - 2 * (probabilities * masks).sum() / (probabilities.sum() + masks.sum())",
            "the two 1s are missing",
        ),
        (
            "def my_dice_loss(probabilities, masks):\n"
            "    shared = (probabilities * masks).sum()\n"
            "    return 1 - (shared + 1) / (probabilities.sum() + masks.sum() - shared + 1)",
            "this is IoU as a loss",
        ),
    ],
    ("05_loss_and_optimizer", "momentum"): [
        (
            "def my_momentum(weight, gradients, lr, momentum):\n    return weight - lr * sum(gradients)",
            "SGD without momentum",
        ),
        (
            "def my_momentum(weight, gradients, lr, momentum):\n"
            "    velocity = 0.0\n"
            "    for gradient in gradients:\n"
            "        velocity = momentum * velocity + (1 - momentum) * gradient\n"
            "        weight = weight - lr * velocity\n"
            "    return weight",
            "the new gradient is made smaller",
        ),
        (
            "def my_momentum(weight, gradients, lr, momentum):\n"
            "    velocity = 0.0\n"
            "    for gradient in gradients:\n"
            "        velocity = momentum * velocity + gradient\n"
            "        weight = weight + lr * velocity\n"
            "    return weight",
            "goes uphill",
        ),
        (
            "def my_momentum(weight, gradients, lr, momentum):\n"
            "    velocity = 0.0\n"
            "    for gradient in gradients:\n"
            "        weight = weight - lr * velocity\n"
            "        velocity = momentum * velocity + gradient\n"
            "    return weight",
            "a step late",
        ),
    ],
