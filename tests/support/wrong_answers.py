"""Typical wrong answers to the exercises, and the hint each must get.

The key is the notebook's stem and the exercise's name: `check_iou` checks the exercise `iou`. A wrong answer is the
code that a reader would write into the stub, under the stub's name, and a piece of the hint meant for it.
"""

MENDED = (
    "class MendedDataset(MendedDataset):\n"
    "    def __len__(self):\n        return len(self.pairs)\n\n"
    "    def __getitem__(self, idx):\n        image_path, mask_path = self.pairs[idx]\n"
    "        image, mask = Image.open(image_path), Image.open(mask_path)\n"
)

WRONG_ANSWERS: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("00_start_here", "iou"): [
        (
            "def my_iou(predicted, target):\n"
            "    return ((predicted & target).sum() / (predicted.sum() + target.sum())).item()",
            "half of Dice",
        ),
        ("def my_iou(predicted, target):\n    return (predicted == target).float().mean().item()", "pixel accuracy"),
        ("def my_iou(predicted, target):\n    return ((predicted & target).sum() / target.sum()).item()", "recall"),
        (
            "def my_iou(predicted, target):\n"
            "    return (predicted & target).sum().item() / (predicted | target).sum().item()",
            "the union is 0",
        ),
    ],
    ("00_start_here", "larger_squares"): [
        ("def my_larger_squares():\n    return 1 / 3", "that of the small squares"),
        ("def my_larger_squares():\n    return 56 / 64", "you divide by one square"),
        ("def my_larger_squares():\n    return 56 / 128", "counts the shared cells twice"),
        ("def my_larger_squares():\n    return 49 / 79", "both directions"),
        ("def my_larger_squares():\n    return 56", "this is the intersection"),
    ],
    ("00_start_here", "predict_threshold"): [
        ("def my_predict(outputs):\n    return (outputs[:, 0] > 0.5).long()", "logit 0.3 is left out"),
        ("def my_predict(outputs):\n    return (outputs > 0).long()", "the channel is still there"),
        (
            "def my_predict(outputs):\n    return (torch.sigmoid(torch.sigmoid(outputs[:, 0])) > 0.5).long()",
            "everything is fruit",
        ),
        ("def my_predict(outputs):\n    return torch.sigmoid(outputs[:, 0])", "these are probabilities"),
    ],
    ("01_dataset", "wrong_pairs"): [
        ("def my_wrong_pairs():\n    return 0", "equally long"),
        ("def my_wrong_pairs():\n    return 2", "between the two gaps is shifted"),
        ("def my_wrong_pairs():\n    return 5", "behind the second gap"),
        ("def my_wrong_pairs():\n    return 7", "before any gap"),
    ],
    ("01_dataset", "pair_by_stem"): [
        (
            "def pair(image_names, mask_names):\n    return list(zip(sorted(image_names), sorted(mask_names)))",
            "by position",
        ),
        (
            "def pair(image_names, mask_names):\n"
            "    return [(name, name) for name in sorted(image_names) if name in mask_names]",
            "share a stem",
        ),
        (
            "def pair(image_names, mask_names):\n"
            "    masks = {Path(name).stem: name for name in mask_names}\n"
            "    return [(n, masks[Path(n).stem]) for n in sorted(image_names) if Path(n).stem in masks]",
            "in silence",
        ),
        (
            "def pair(image_names, mask_names):\n"
            "    masks = {name.split('.')[0]: name for name in mask_names}\n"
            "    return [(n, masks[n.split('.')[0]]) for n in sorted(image_names)]",
            "the last dot",
        ),
    ],
    ("01_dataset", "count_labels"): [
        (
            "def count_labels(mask):\n    return {str(v): c for c, v in mask.getcolors()}",
            "the keys are text",
        ),
        ("def count_labels(mask):\n    return dict(enumerate(mask.histogram()))", "do not occur"),
        ("def count_labels(mask):\n    return dict(mask.getcolors())", "key and value are exchanged"),
        (
            "def count_labels(mask):\n    return {v: c / 12 for c, v in mask.getcolors()}",
            "shares of the picture",
        ),
    ],
    ("01_dataset", "mask_to_label"): [
        ("def to_unit(mask):\n    return torch.from_numpy(np.array(mask)).float().unsqueeze(0)", "still 255"),
        ("def to_unit(mask):\n    return torch.from_numpy(np.array(mask)).float() / 255", "add it by unsqueeze(0)"),
        ("def to_unit(mask):\n    return torch.from_numpy(np.array(mask) // 255).unsqueeze(0)", "of dtype uint8"),
        (
            "def to_unit(mask):\n    from torchvision.transforms import ToTensor\n\n    return ToTensor()(mask) / 255",
            "divided by 255 twice",
        ),
    ],
    ("01_dataset", "mended_dataset"): [
        (MENDED + "        return image, mask", "lying on its side"),
        (
            MENDED + "        if image.size != mask.size:\n            raise ValueError(mask_path)\n"
            "        return ImageOps.exif_transpose(image), mask",
            "Turn the image first",
        ),
        (MENDED + "        return ImageOps.exif_transpose(image), mask", "the two sizes have to agree"),
        (
            MENDED + "        image = ImageOps.exif_transpose(image)\n        if image.size != mask.size:\n"
            "            raise ValueError('two sizes')\n        return image, mask",
            "does not name the mask",
        ),
        (MENDED + "        return mask, image", "the image comes first"),
        (
            MENDED.replace("len(self.pairs)", "2 * len(self.pairs)") + "        return image, mask",
            "Give back its length",
        ),
    ],
    ("01_dataset", "upright"): [
        ("def open_upright(path):\n    return Image.open(path).convert('RGB')", "exif_transpose"),
        (
            "def open_upright(path):\n    return Image.open(path).convert('RGB').rotate(-90, expand=True)",
            "without an orientation",
        ),
        (
            "def open_upright(path):\n"
            "    from PIL import ImageOps\n\n"
            "    return ImageOps.exif_transpose(Image.open(path))",
            "in mode L",
        ),
    ],
    ("02_transforms", "black_twice"): [
        ("def my_black():\n    return (0 - 0.485) / 0.229", "normalised once"),
        ("def my_black():\n    return 2 * (0 - 0.485) / 0.229", "twice the first result"),
        ("def my_black():\n    return (0 - 0.485) / 0.229 / 0.229", "also subtracts the mean"),
        ("def my_black():\n    return (0 - 0.485) / 0.229 - 0.485", "then also divides"),
        ("def my_black():\n    return -9.73", "the order is turned round"),
        ("def my_black():\n    return 11.37", "the sign is not"),
        ("def my_black():\n    return -11.12", "that is green"),
        ("def my_black():\n    return -9.82", "that is blue"),
    ],
    ("02_transforms", "denormalize"): [
        ("def my_denormalize(image):\n    return image * std + mean", "mean.view(3, 1, 1)"),
        ("def my_denormalize(image):\n    return image", "comes back unchanged"),
        (
            "def my_denormalize(image):\n    return (image + mean.view(3, 1, 1)) * std.view(3, 1, 1)",
            "the order is turned round",
        ),
        (
            "def my_denormalize(image):\n    return (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)",
            "normalises a second time",
        ),
        (
            "def my_denormalize(image):\n    return (image * std.view(3, 1, 1) + mean.view(3, 1, 1)) * 255",
            "values from 0 to 255",
        ),
    ],
    ("02_transforms", "joint_flip"): [
        (
            "def my_flip(image, mask):\n"
            "    image = image.flip(-1) if torch.rand(1) < 0.5 else image\n"
            "    return image, mask.flip(-1) if torch.rand(1) < 0.5 else mask",
            "mirrored one of the two alone",
        ),
        (
            "def my_flip(image, mask):\n    return (image.flip(-1) if torch.rand(1) < 0.5 else image), mask",
            "left the mask as it was",
        ),
        ("def my_flip(image, mask):\n    return image.flip(-1), mask.flip(-1)", "all of 64 calls"),
        (
            "def my_flip(image, mask):\n"
            "    return (image.flip(-2), mask.flip(-2)) if torch.rand(1) < 0.5 else (image, mask)",
            "upside down",
        ),
        ("def my_flip(image, mask):\n    return image.flip(0), mask", "channels are turned round"),
    ],
    ("02_transforms", "resize_mask"): [
        (
            "def my_resize(mask, size):\n    return mask.resize(size, Image.Resampling.NEAREST)",
            "turn the two round",
        ),
        ("def my_resize(mask, size):\n    return mask.resize((size[1], size[0]))", "Mixing is PIL's default"),
        (
            "def my_resize(mask, size):\n"
            "    from torchvision.transforms import Resize\n\n"
            "    return Resize(size)(mask)",
            "Mixing is PIL's default",
        ),
        (
            "def my_resize(mask, size):\n"
            "    from seglib.data.transforms import resize_labels\n\n"
            "    return resize_labels(torch.from_numpy(np.array(mask)), size)",
            "a PIL image is wanted",
        ),
    ],
    ("03_dataloader", "notes_number"): [
        ("def my_number():\n    return 0.5", "for batches of 4"),
        ("def my_number():\n    return (3 + 22 / 6) / 32", "counts 8 for each batch"),
        ("def my_number():\n    return (3 + 22 / 6) / 30", "divides by the 30 pictures"),
        ("def my_number():\n    return (3 + 22 / 6) / 4", "mean of the batches' means"),
        ("def my_number():\n    return 46 / 30", "mean over all pictures"),
        ("def my_number():\n    return 6 / 16", "is not full"),
    ],
    ("03_dataloader", "batch_sizes"): [
        (
            "def my_sizes(count, batch_size, drop_last):\n    return [batch_size] * (count // batch_size)",
            "in no batch",
        ),
        (
            "def my_sizes(count, batch_size, drop_last):\n"
            "    return [len(range(count)[i : i + batch_size]) for i in range(0, count, batch_size)]",
            "drop_last leaves it out",
        ),
        (
            "def my_sizes(count, batch_size, drop_last):\n    return [batch_size] * -(-count // batch_size)",
            "count += 4",
        ),
        (
            "def my_sizes(count, batch_size, drop_last):\n"
            "    return [batch_size] * (count // batch_size) + ([] if drop_last else [count % batch_size])",
            "a batch of 0 pictures",
        ),
        ("def my_sizes(count, batch_size, drop_last):\n    return count // batch_size", "a list of sizes"),
    ],
    ("03_dataloader", "collate"): [
        (
            "def my_collate(pairs):\n"
            "    return torch.cat([image for image, mask in pairs]), torch.cat([mask for image, mask in pairs])",
            "end to end",
        ),
        ("def my_collate(pairs):\n    images, masks = zip(*pairs)\n    return images, masks", "not one tensor"),
        (
            "def my_collate(pairs):\n    images, masks = zip(*pairs)\n"
            "    return torch.stack(images, 1), torch.stack(masks, 1)",
            "N in front",
        ),
        (
            "def my_collate(pairs):\n    images, masks = zip(*pairs)\n"
            "    return torch.stack(images[::-1]), torch.stack(masks)",
            "in another order",
        ),
        (
            "def my_collate(pairs):\n    return torch.stack([image for image, mask in pairs])",
            "two tensors are expected",
        ),
    ],
    ("03_dataloader", "split_by_scene"): [
        (
            "def my_split(stems, validation_scenes):\n    return stems[:-2], stems[-2:]",
            "trained on, though 'apples'",
        ),
        (
            "def my_split(stems, validation_scenes):\n"
            "    validation = [s for s in stems if s.split('_')[0] in validation_scenes]\n"
            "    return [s for s in stems if s not in validation], validation",
            "cut at its last underscore",
        ),
        (
            "def my_split(stems, validation_scenes):\n"
            "    validation = [s for s in stems if s.rpartition('_')[0] in validation_scenes]\n"
            "    return stems, validation",
            "on both sides",
        ),
        (
            "def my_split(stems, validation_scenes):\n"
            "    validation = [s for s in stems if s.rpartition('_')[0] in validation_scenes]\n"
            "    return validation, [s for s in stems if s not in validation]",
            "exchanged",
        ),
        (
            "def my_split(stems, validation_scenes):\n"
            "    validation = [s for s in stems if s.rpartition('_')[0] in validation_scenes]\n"
            "    return [s for s in stems if s[:1] not in 'akl'], validation",
            "on neither side",
        ),
    ],
    ("04_model", "new_head"): [
        (
            "def my_head(model, num_classes):\n"
            "    model.classifier = torch.nn.Conv2d(8, num_classes, 1)\n"
            "    return model",
            "with it the ASPP",
        ),
        (
            "def my_head(model, num_classes):\n    model.classifier[4].out_channels = num_classes\n    return model",
            "a mere note",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    model.classifier.append(torch.nn.Conv2d(21, num_classes, 1))\n"
            "    return model",
            "behind the old last one",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    model.classifier[4] = torch.nn.Conv2d(960, num_classes, 1)\n"
            "    return model",
            "gives 256 channels",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    from torchvision.models.segmentation.deeplabv3 import DeepLabHead\n\n"
            "    model.classifier = DeepLabHead(8, num_classes)\n"
            "    return model",
            "the pretraining is gone",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    model.classifier[4] = torch.nn.Conv2d(256, num_classes, 1)\n"
            "    return model",
            "['aux'] has 21 channels",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    for head in (model.classifier, model.aux_classifier):\n"
            "        head[4] = torch.nn.Conv2d(head[4].in_channels, num_classes, 1)\n"
            "    return model",
            "look before you exchange",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    for head in (model.classifier, model.aux_classifier):\n"
            "        if head is not None:\n"
            "            head[4] = torch.nn.Conv2d(256, num_classes, 1)\n"
            "    return model",
            "in_channels",
        ),
        (
            "def my_head(model, num_classes):\n"
            "    model.classifier[4] = torch.nn.Conv2d(256, num_classes, 1)\n"
            "    model.aux_classifier = None\n"
            "    return model",
            "the auxiliary head is gone",
        ),
    ],
    ("04_model", "places"): [
        ("def my_places():\n    return [9, 1, 1]", "of a picture 320 wide"),
        ("def my_places():\n    return [9, 9, 9]", "the grid is 30 high"),
        ("def my_places():\n    return [9, 9, 1]", "the middle is not alone"),
        ("def my_places():\n    return [9, 9, 6]", "36 above or below"),
        ("def my_places():\n    return [9, 4, 3]", "not at rate 24"),
        ("def my_places():\n    return 21", "three numbers are wanted"),
        ("def my_places():\n    return [9, 9, 0]", "from 1 to 9"),
    ],
    ("04_model", "running_mean"): [
        (
            "def my_update(running_mean, features, momentum):\n"
            "    return momentum * running_mean + (1 - momentum) * features.mean(dim=(0, 2, 3))",
            "share of the new mean",
        ),
        (
            "def my_update(running_mean, features, momentum):\n"
            "    return (1 - momentum) * running_mean + momentum * features.mean()",
            "all channels together",
        ),
        (
            "def my_update(running_mean, features, momentum):\n    return features.mean(dim=(0, 2, 3))",
            "the mean of the batch alone",
        ),
        (
            "def my_update(running_mean, features, momentum):\n"
            "    return (1 - momentum) * running_mean + momentum * features.mean(dim=(2, 3))",
            "dim=(0, 2, 3)",
        ),
    ],
    ("04_model", "freeze"): [
        ("def my_freeze(model):\n    return model.eval()", "dropout is off too"),
        (
            "def my_freeze(model):\n"
            "    for module in model.modules():\n"
            "        if isinstance(module, torch.nn.BatchNorm2d):\n"
            "            module.requires_grad_(False)\n"
            "    return model",
            "running means still move",
        ),
        (
            "def my_freeze(model):\n"
            "    for module in model.modules():\n"
            "        if isinstance(module, torch.nn.BatchNorm2d):\n"
            "            module.momentum = 0.0\n"
            "    return model",
            "still normalises by the batch",
        ),
        (
            "def my_freeze(model):\n"
            "    for module in model.modules():\n"
            "        if isinstance(module, torch.nn.BatchNorm2d):\n"
            "            module.eval().requires_grad_(False)\n"
            "    return model",
            "cannot learn any more",
        ),
    ],
    ("05_loss", "known_pixels"): [
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return ((outputs - masks)[known] ** 2).mean() if known.any() else 0",
            "no gradient leads back",
        ),
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return torch.nan_to_num(((outputs - masks) ** 2 * known).sum() / known.sum())",
            "its gradient is NaN",
        ),
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
            "def my_loss(outputs, masks):\n    known = masks != 255\n    return ((outputs - masks)[known] ** 2).mean()",
            "0 / 0 is NaN",
        ),
        (
            "def my_loss(outputs, masks):\n"
            "    known = masks != 255\n"
            "    return (((outputs - masks) ** 2)[known].sum() / known.sum().clamp(min=1)).item()",
            "no gradient leads back",
        ),
    ],
    ("05_loss", "best_guess"): [
        ("def my_guess():\n    return 0.1", "without pos_weight"),
        ("def my_guess():\n    return 3 * 0.1", "a share of all weights"),
        ("def my_guess():\n    return 30 / 90", "30 of how many"),
        ("def my_guess():\n    return 30 / (30 + 100)", "not 30 and 100"),
        ("def my_guess():\n    return 1 - 0.25", "the share of the background"),
    ],
    ("05_loss", "dice_loss"): [
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
    ("06_optimizer", "rate_and_iou"): [
        ("def my_choice():\n    return 1e-5, 0.01", "take a much higher rate"),
        ("def my_choice():\n    return 1e-2, 0.47", "A lower rate gets farther"),
        ("def my_choice():\n    return 1e-3, 0.47", "A higher rate gets farther"),
        ("def my_choice():\n    return 3e-3, 0.85", "64 steps do not get so far"),
        ("def my_choice():\n    return 0.55, 3e-3", "swapped"),
        ("def my_choice():\n    return 3e-3", "give back two numbers"),
    ],
    ("06_optimizer", "momentum"): [
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
    ("06_optimizer", "schedule_distance"): [
        ("def my_distance(lr, steps, warmup):\n    return lr * steps", "a constant rate"),
        (
            "def my_distance(lr, steps, warmup):\n"
            "    rise = sum(0.01 + 0.99 * step / warmup for step in range(warmup))\n"
            "    fall = sum(1 - step / (steps - warmup) for step in range(steps - warmup))\n"
            "    return lr * (rise + fall)",
            "the fall is a straight line",
        ),
        (
            "def my_distance(lr, steps, warmup):\n"
            "    rise = sum(step / warmup for step in range(warmup))\n"
            "    fall = sum((1 - step / (steps - warmup)) ** 0.9 for step in range(steps - warmup))\n"
            "    return lr * (rise + fall)",
            "the rise begins at 0",
        ),
        (
            "def my_distance(lr, steps, warmup):\n"
            "    rise = sum(0.01 + 0.99 * (step + 1) / warmup for step in range(warmup))\n"
            "    fall = sum((1 - step / (steps - warmup)) ** 0.9 for step in range(steps - warmup))\n"
            "    return lr * (rise + fall)",
            "the rise is a step early",
        ),
        (
            "def my_distance(lr, steps, warmup):\n"
            "    rise = sum(0.01 + 0.99 * step / warmup for step in range(warmup))\n"
            "    fall = sum((1 - step / steps) ** 0.9 for step in range(steps - warmup))\n"
            "    return lr * (rise + fall)",
            "one of all steps",
        ),
        (
            "def my_distance(lr, steps, warmup):\n"
            "    left = steps - warmup\n"
            "    return [lr * (1 - step / left) ** 0.9 for step in range(left)]",
            "Sum up the rates",
        ),
    ],
    ("07_training_loop", "clipped"): [
        ("def my_weight():\n    return 0.4375", "without clipping"),
        ("def my_weight():\n    return 0.125", "after one step"),
        ("def my_weight():\n    return 0.25", "after two steps"),
        (
            "def my_weight():\n"
            "    weight = 0.0\n"
            "    for step in range(3):\n"
            "        weight = weight - 0.25 * 0.5 * (2 * weight - 1)\n"
            "    return weight",
            "halves each gradient",
        ),
        ("def my_weight():\n    return -3 * 0.25 * 0.5", "against the gradient"),
        ("def my_weight():\n    return 0.5", "after many steps"),
        ("def my_weight():\n    return 3 * 0.5", "rate of 0.25"),
    ],
    ("07_training_loop", "gradient"): [
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight)) / h",
            "a difference to one side",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight - h)) / h",
            "a way of 2 * h",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight - h) - loss_of(weight + h)) / (2 * h)",
            "the sign is turned round",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight - h)) / 2 * h",
            "put brackets",
        ),
    ],
    ("07_training_loop", "epoch"): [
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the gradients of the batches before were still there",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        optimizer.step()\n"
            "        loss.backward()\n"
            "    return total_loss / count",
            "a step found no gradients",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        count += 4\n"
            "        total_loss += loss.item()\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the notes' number",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "in evaluation mode",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss = total_loss + loss * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the graph of every batch",
        ),
    ],
    ("08_cuda", "activations"): [
        ("def my_activations():\n    return 18.75 * 2 / 2", "is a quarter"),
        ("def my_activations():\n    return 18.75 / 4", "for four small pictures"),
        ("def my_activations():\n    return 18.75 * 2", "for eight pictures of the full size"),
        ("def my_activations():\n    return 18.75 * 2 / 4 + 0.6", "activations alone"),
    ],
    ("08_cuda", "mean_loss"): [
        (
            "def my_mean_loss(losses, counts):\n"
            "    total = sum(loss.item() * count for loss, count in zip(losses, counts))\n"
            "    return torch.tensor(total / sum(counts))",
            "it asks 3 times",
        ),
        (
            "def my_mean_loss(losses, counts):\n"
            "    return (torch.tensor(losses) * torch.tensor(counts)).sum() / sum(counts)",
            "it asks once",
        ),
        (
            "def my_mean_loss(losses, counts):\n    return sum(loss.detach() for loss in losses) / len(losses)",
            "mean over the three batches",
        ),
        (
            "def my_mean_loss(losses, counts):\n"
            "    return sum(loss * count for loss, count in zip(losses, counts)) / sum(counts)",
            "keeps the graphs",
        ),
        (
            "def my_mean_loss(losses, counts):\n"
            "    return sum(loss.detach() * count for loss, count in zip(losses, counts))",
            "divide it by their number",
        ),
    ],
    ("08_cuda", "from_bytes"): [
        ("def my_from_bytes(images):\n    return images / 255", "still missing"),
        (
            "def my_from_bytes(images):\n"
            "    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)\n"
            "    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)\n"
            "    return (images - mean) / std",
            "pixels from 0 to 1",
        ),
        ("def my_from_bytes(images):\n    return images // 255", "float32 is wanted"),
        (
            "def my_from_bytes(images):\n"
            "    mean = torch.tensor([0.485, 0.456, 0.406])\n"
            "    return images / 255 - mean",
            "view(3, 1, 1) puts them",
        ),
    ],
    ("08_cuda", "accumulate"): [
        (
            "def my_accumulate(model, batches, criterion, optimizer):\n"
            "    optimizer.zero_grad()\n"
            "    for images, masks in batches:\n"
            "        criterion(model(images), masks).backward()\n"
            "    optimizer.step()\n"
            "    return model",
            "many times too long",
        ),
        (
            "def my_accumulate(model, batches, criterion, optimizer):\n"
            "    optimizer.zero_grad()\n"
            "    for images, masks in batches:\n"
            "        (criterion(model(images), masks) / len(batches)).backward()\n"
            "    optimizer.step()\n"
            "    return model",
            "weigh by len(images)",
        ),
        (
            "def my_accumulate(model, batches, criterion, optimizer):\n"
            "    for images, masks in batches:\n"
            "        (criterion(model(images), masks) * len(images) / 10).backward()\n"
            "    optimizer.step()\n"
            "    return model",
            "of the step before",
        ),
        (
            "def my_accumulate(model, batches, criterion, optimizer):\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        criterion(model(images), masks).backward()\n"
            "        optimizer.step()\n"
            "    return model",
            "one zero_grad and one step",
        ),
        (
            "def my_accumulate(model, batches, criterion, optimizer):\n"
            "    optimizer.zero_grad()\n"
            "    for images, masks in batches:\n"
            "        (criterion(model(images), masks) * len(images) / 10).backward()\n"
            "    return model",
            "have not moved",
        ),
    ],
    ("09_when_to_stop", "patience"): [
        (
            "def my_stop(scores, patience, min_delta):\n"
            "    for epoch in range(2, len(scores) + 1):\n"
            "        if scores[epoch - 1] < scores[epoch - 2]:\n"
            "            return epoch, epoch - 1\n"
            "    return len(scores), len(scores)",
            "it stops at the first fall",
        ),
        (
            "def my_stop(scores, patience, min_delta):\n"
            "    best, best_epoch = -1, 0\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best:\n"
            "            best, best_epoch = score, epoch\n"
            "        if epoch - best_epoch >= patience:\n"
            "            return epoch, best_epoch\n"
            "    return len(scores), best_epoch",
            "every small rise counts",
        ),
        (
            "def my_stop(scores, patience, min_delta):\n"
            "    best, best_epoch = -1, 0\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best + min_delta:\n"
            "            best, best_epoch = score, epoch\n"
            "        if epoch - best_epoch > patience:\n"
            "            return epoch, best_epoch\n"
            "    return len(scores), best_epoch",
            "one epoch late",
        ),
        (
            "def my_stop(scores, patience, min_delta):\n"
            "    best, best_epoch = -1, 0\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best + min_delta:\n"
            "            best, best_epoch = score, epoch\n"
            "        if epoch - best_epoch >= patience:\n"
            "            return epoch, epoch\n"
            "    return len(scores), len(scores)",
            "not the last one",
        ),
    ],
    ("09_when_to_stop", "least_patience"): [
        (
            "def my_least_patience(scores, lost):\n"
            "    best, worse, longest = -1, 0, 0\n"
            "    for score in scores:\n"
            "        if score > best:\n"
            "            best, worse = score, 0\n"
            "        else:\n"
            "            worse += 1\n"
            "        longest = max(longest, worse)\n"
            "        if best >= max(scores) - lost:\n"
            "            return longest",
            "one too few",
        ),
        (
            "def my_least_patience(scores, lost):\n"
            "    best, best_epoch, patience = -1, 0, 1\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best:\n"
            "            patience = max(patience, epoch - best_epoch)\n"
            "            best, best_epoch = score, epoch\n"
            "    return patience",
            "A little may be",
        ),
        ("def my_least_patience(scores, lost):\n    return scores.index(max(scores)) + 1", "the epoch itself"),
        (
            "def my_least_patience(scores, lost):\n"
            "    best, worse, longest = -1, 0, 0\n"
            "    for score in scores:\n"
            "        worse = 0 if score > best else worse + 1\n"
            "        best = max(best, score)\n"
            "        longest = max(longest, worse)\n"
            "    return longest + 1",
            "leave them out",
        ),
        (
            "def my_least_patience(scores, lost):\n"
            "    falls, longest = 0, 0\n"
            "    for before, score in zip(scores, scores[1 : scores.index(max(scores)) + 1]):\n"
            "        falls = falls + 1 if score < before else 0\n"
            "        longest = max(longest, falls)\n"
            "    return longest + 1",
            "not with the one before",
        ),
    ],
    ("09_when_to_stop", "difference"): [
        (
            "def my_difference(first, second, draws):\n"
            "    rng = np.random.default_rng(0)\n"
            "    differences = []\n"
            "    for _ in range(draws):\n"
            "        one = rng.integers(16, size=16)\n"
            "        other = rng.integers(16, size=16)\n"
            "        iou_of_first = first[0][one].sum() / first[1][one].sum()\n"
            "        iou_of_second = second[0][other].sum() / second[1][other].sum()\n"
            "        differences.append(iou_of_first - iou_of_second)\n"
            "    return np.quantile(differences, [0.025, 0.975])",
            "draw once for both",
        ),
        (
            "def my_difference(first, second, draws):\n"
            "    rng = np.random.default_rng(0)\n"
            "    by_picture = first[0] / first[1] - second[0] / second[1]\n"
            "    means = [by_picture[rng.integers(16, size=16)].mean() for _ in range(draws)]\n"
            "    return np.quantile(means, [0.025, 0.975])",
            "Add up the pixels",
        ),
        (
            "def my_difference(first, second, draws):\n"
            "    rng = np.random.default_rng(0)\n"
            "    differences = []\n"
            "    for _ in range(draws):\n"
            "        drawn = rng.permutation(16)\n"
            "        iou_of_first = first[0][drawn].sum() / first[1][drawn].sum()\n"
            "        iou_of_second = second[0][drawn].sum() / second[1][drawn].sum()\n"
            "        differences.append(iou_of_first - iou_of_second)\n"
            "    return np.quantile(differences, [0.025, 0.975])",
            "with replacement",
        ),
        (
            "def my_difference(first, second, draws):\n"
            "    by_picture = first[0] / first[1] - second[0] / second[1]\n"
            "    return np.quantile(by_picture, [0.025, 0.975])",
            "without any draw",
        ),
    ],
    ("10_checkpoints", "resume"): [
        (
            "def my_resume(path, model, optimizer, scheduler):\n"
            "    if not path.exists():\n"
            "        return 0\n"
            "    saved = torch.load(path)\n"
            '    model.load_state_dict(saved["model"])\n'
            '    scheduler.load_state_dict(saved["scheduler"])\n'
            '    torch.set_rng_state(saved["rng"])\n'
            '    return saved["epoch"]',
            "Adam begins with empty means",
        ),
        (
            "def my_resume(path, model, optimizer, scheduler):\n"
            "    if not path.exists():\n"
            "        return 0\n"
            "    saved = torch.load(path)\n"
            '    model.load_state_dict(saved["model"])\n'
            '    optimizer.load_state_dict(saved["optimizer"])\n'
            '    torch.set_rng_state(saved["rng"])\n'
            '    return saved["epoch"]',
            "the learning rate begins anew",
        ),
        (
            "def my_resume(path, model, optimizer, scheduler):\n"
            "    if not path.exists():\n"
            "        return 0\n"
            "    saved = torch.load(path)\n"
            '    model.load_state_dict(saved["model"])\n'
            '    optimizer.load_state_dict(saved["optimizer"])\n'
            '    scheduler.load_state_dict(saved["scheduler"])\n'
            '    return saved["epoch"]',
            "dropout draws other numbers",
        ),
        (
            "def my_resume(path, model, optimizer, scheduler):\n"
            "    saved = torch.load(path)\n"
            '    model.load_state_dict(saved["model"])\n'
            '    optimizer.load_state_dict(saved["optimizer"])\n'
            '    scheduler.load_state_dict(saved["scheduler"])\n'
            '    torch.set_rng_state(saved["rng"])\n'
            '    return saved["epoch"]',
            "there is no file yet",
        ),
        (
            "def my_resume(path, model, optimizer, scheduler):\n"
            "    if not path.exists():\n"
            "        return 0\n"
            "    saved = torch.load(path)\n"
            '    model.load_state_dict(saved["model"])\n'
            '    optimizer.load_state_dict(saved["optimizer"])\n'
            '    scheduler.load_state_dict(saved["scheduler"])\n'
            '    torch.set_rng_state(saved["rng"])\n'
            '    return saved["epoch"] + 1',
            "Give back that number",
        ),
    ],
    ("10_checkpoints", "checkpoint_bytes"): [
        (
            "def my_bytes(model, optimizer):\n"
            "    stored = sum(tensor.numel() for tensor in model.state_dict().values())\n"
            "    moving = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)\n"
            '    kept = {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[optimizer]\n'
            "    return stored + kept * moving",
            "each of them takes four bytes",
        ),
        (
            "def my_bytes(model, optimizer):\n"
            "    stored = sum(tensor.numel() for tensor in model.state_dict().values())\n"
            "    moving = sum(weight.numel() for weight in model.parameters())\n"
            '    kept = {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[optimizer]\n'
            "    return 4 * (stored + kept * moving)",
            "a frozen weight gets no gradient",
        ),
        (
            "def my_bytes(model, optimizer):\n"
            "    stored = sum(tensor.numel() for tensor in model.state_dict().values())\n"
            "    moving = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)\n"
            "    return 4 * (stored + 2 * moving)",
            "this is what Adam needs",
        ),
        (
            "def my_bytes(model, optimizer):\n"
            '    kept = {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[optimizer]\n'
            "    return 4 * (1 + kept) * sum(weight.numel() for weight in model.parameters())",
            "the running means of BatchNorm are missing",
        ),
        (
            "def my_bytes(model, optimizer):\n"
            '    kept = {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[optimizer]\n'
            "    return 4 * (1 + kept) * sum(tensor.numel() for tensor in model.state_dict().values())",
            "running means get no gradient",
        ),
    ],
    ("10_checkpoints", "safe_save"): [
        ("def my_save(path, write):\n    with open(path, 'wb') as file:\n        write(file)", "half of the new one"),
        (
            "def my_save(path, write):\n"
            "    path.unlink(missing_ok=True)\n"
            "    part = path.with_suffix('.part')\n"
            "    with open(part, 'wb') as file:\n"
            "        write(file)\n"
            "    part.rename(path)",
            "the good file is gone",
        ),
        (
            "def my_save(path, write):\n"
            "    part = path.with_suffix('.part')\n"
            "    try:\n"
            "        with open(part, 'wb') as file:\n"
            "            write(file)\n"
            "        part.replace(path)\n"
            "    except OSError:\n"
            "        pass",
            "nobody is told",
        ),
        (
            "def my_save(path, write):\n"
            "    part = path.with_suffix('.part')\n"
            "    with open(part, 'wb') as file:\n"
            "        write(file)\n"
            "    path.write_bytes(part.read_bytes())",
            "rename, do not copy",
        ),
    ],
    ("11_predict", "own_size"): [
        ("def my_mask(outputs, size):\n    return (outputs[0, 0] > 0).long()", "still has the model's size"),
        (
            "def my_mask(outputs, size):\n"
            "    mask = (outputs > 0).float()\n"
            "    return torch.nn.functional.interpolate(mask, size)[0, 0].long()",
            "the mask has steps",
        ),
        (
            "def my_mask(outputs, size):\n"
            "    return (torch.nn.functional.interpolate(outputs, size[::-1], mode='bilinear')[0, 0] > 0).long()",
            "Height and width are exchanged",
        ),
        (
            "def my_mask(outputs, size):\n"
            "    return (torch.nn.functional.interpolate(outputs, size, mode='bilinear')[0, 0] > 0.5).long()",
            "a logit is compared with 0.5",
        ),
    ],
    ("11_predict", "precision_recall"): [
        (
            "def my_scores(matrix):\n"
            "    return (matrix[1, 1] / matrix[1].sum()).item(), (matrix[1, 1] / matrix[:, 1].sum()).item()",
            "the two are exchanged",
        ),
        (
            "def my_scores(matrix):\n"
            "    return (matrix[0, 0] / matrix[:, 0].sum()).item(), (matrix[0, 0] / matrix[0].sum()).item()",
            "of the background",
        ),
        (
            "def my_scores(matrix):\n    return [(matrix[1, 1] / matrix.sum()).item()] * 2",
            "divided by all pixels",
        ),
    ],
    ("11_predict", "spans"): [
        (
            "def my_spans(length, tile, overlap):\n"
            "    return [(b, b + tile) for b in range(0, length - tile + 1, tile - overlap)]",
            "The last tile has to reach the end",
        ),
        (
            "def my_spans(length, tile, overlap):\n"
            "    return [(b, min(b + tile, length)) for b in range(0, length, tile)]",
            "share less than 10",
        ),
        (
            "def my_spans(length, tile, overlap):\n"
            "    return [(b, b + tile) for b in range(0, max(length - overlap, 1), tile - overlap)]",
            "reaches over the edge",
        ),
        (
            "def my_spans(length, tile, overlap):\n"
            "    return [(b, min(b + tile, length)) for b in range(0, length, tile - overlap)]",
            "lies in the one before",
        ),
    ],
    ("11_predict", "iou_without_specks"): [
        (
            "def my_iou(pieces, fruit, smallest):\n"
            "    stay = [piece for piece in pieces if piece[0] > smallest]\n"
            "    hits = sum(right for _, right in stay)\n"
            "    return hits / (fruit + sum(pixels for pixels, _ in stay) - hits)",
            "a piece of exactly 20 pixels stays",
        ),
        (
            "def my_iou(pieces, fruit, smallest):\n"
            "    hits = sum(right for _, right in pieces)\n"
            "    return hits / (fruit + sum(pixels for pixels, _ in pieces) - hits)",
            "nothing was removed",
        ),
        (
            "def my_iou(pieces, fruit, smallest):\n"
            "    return sum(right for pixels, right in pieces if pixels >= smallest) / fruit",
            "this is the recall",
        ),
        (
            "def my_iou(pieces, fruit, smallest):\n"
            "    stay = [piece for piece in pieces if piece[0] >= smallest]\n"
            "    return sum(right for _, right in stay) / sum(pixels for pixels, _ in stay)",
            "this is the precision",
        ),
        (
            "def my_iou(pieces, fruit, smallest):\n"
            "    stay = [piece for piece in pieces if piece[0] >= smallest]\n"
            "    return sum(right for _, right in stay) / (fruit + sum(pixels for pixels, _ in stay))",
            "counted twice in the union",
        ),
    ],
    ("12_silent_bugs", "moved_mask"): [
        ("def my_iou():\n    return 20 / 30", "divides by the union"),
        ("def my_iou():\n    return 10 / 30", "counts the shared columns twice"),
        ("def my_iou():\n    return 20 * 12", "Divide by the union"),
        ("def my_iou():\n    return 1.0", "not where the fruit is"),
        ("def my_iou():\n    return 0", "20 of 30 columns"),
    ],
    ("12_silent_bugs", "unmoved"): [
        (
            "def my_unmoved(model, optimizer):\n"
            "    held = {id(weight) for weight in optimizer.param_groups[0]['params']}\n"
            "    return sorted(name for name, weight in model.named_parameters() if id(weight) not in held)",
            "several groups",
        ),
        (
            "def my_unmoved(model, optimizer):\n"
            "    held = {id(weight) for group in optimizer.param_groups for weight in group['params']}\n"
            "    return sorted(name for name, weight in model.named_parameters() if id(weight) in held)",
            "names that it holds",
        ),
        (
            "def my_unmoved(model, optimizer):\n"
            "    held = {weight.shape for group in optimizer.param_groups for weight in group['params']}\n"
            "    return sorted(name for name, weight in model.named_parameters() if weight.shape not in held)",
            "and is another",
        ),
        (
            "def my_unmoved(model, optimizer):\n"
            "    held = [weight for group in optimizer.param_groups for weight in group['params']]\n"
            "    return sorted(name for name, weight in model.named_parameters() if weight not in held)",
            "by identity",
        ),
        ("def my_unmoved(model, optimizer):\n    return len(list(model.parameters()))", "a list of names"),
    ],
    ("12_silent_bugs", "evaluate"): [
        (
            "def my_evaluate(model, batches):\n"
            "    matrices = [confusion_matrix((model(i)['out'] > 0).long(), m.long()) for i, m in batches]\n"
            "    return iou(sum(matrices))[1].item()",
            "in training mode",
        ),
        (
            "def my_evaluate(model, batches):\n"
            "    model.eval()\n"
            "    parts = [confusion_matrix((model(i)['out'] > 0).long(), m.long()) for i, m in batches]\n"
            "    return sum(iou(part)[1].item() for part in parts) / len(parts)",
            "mean of the batches",
        ),
        (
            "def my_evaluate(model, batches):\n"
            "    model.eval()\n"
            "    matrices = [confusion_matrix((model(i)['out'] > 0.5).long(), m.long()) for i, m in batches]\n"
            "    return iou(sum(matrices))[1].item()",
            "not 0.5",
        ),
        (
            "def my_evaluate(model, batches):\n"
            "    model.eval()\n"
            "    full = [(i, m) for i, m in batches if len(i) == 4]\n"
            "    matrices = [confusion_matrix((model(i)['out'] > 0).long(), m.long()) for i, m in full]\n"
            "    return iou(sum(matrices))[1].item()",
            "8 of 10 pictures",
        ),
        (
            "def my_evaluate(model, batches):\n"
            "    model.eval()\n"
            "    right = [((model(i)['out'] > 0) == m.bool()).flatten() for i, m in batches]\n"
            "    return torch.cat(right).float().mean().item()",
            "pixel accuracy",
        ),
    ],
    ("12_silent_bugs", "on_both_sides"): [
        (
            "def my_on_both_sides(train, validation):\n"
            "    return [place for place, image in enumerate(validation) if image in train]",
            "torch.equal",
        ),
        (
            "def my_on_both_sides(train, validation):\n"
            "    known = {id(image) for image in train}\n"
            "    return [place for place, image in enumerate(validation) if id(image) in known]",
            "compare the pixels",
        ),
        (
            "def my_on_both_sides(train, validation):\n"
            "    return [n for n, a in enumerate(validation) if any((a - b).abs().mean() < 0.15 for b in train)]",
            "brighter",
        ),
        (
            "def my_on_both_sides(train, validation):\n"
            "    return sum(any(torch.equal(a, b) for b in train) for a in validation)",
            "a list of places",
        ),
        (
            "def my_on_both_sides(train, validation):\n"
            "    return [n for n, a in enumerate(validation) if any(torch.equal(a, b) for b in train)]",
            "is mirrored",
        ),
    ],
    ("13_your_own_data", "joined"): [
        ("def my_rise():\n    return 0.8 / 2", "the mean afterwards"),
        ("def my_rise():\n    return 0.8 / 2 - 0.8 / 4", "pear was counted as 0"),
        ("def my_rise():\n    return 0.8 / 3 - 0.8 / 4", "pear was dropped"),
        ("def my_rise():\n    return 0.0", "the mean is over other classes"),
        ("def my_rise():\n    return 0.8 - 0.8 / 3", "background alone"),
        ("def my_rise():\n    return 0.8 / 3 - 0.8 / 2", "the sign"),
        ("def my_rise():\n    return 0.2 / 2 - 0.8 / 3", "still calls everything background"),
        ("def my_rise():\n    return 0.8 / 3, 0.8 / 2", "one number is wanted"),
    ],
    ("13_your_own_data", "polygons"): [
        (
            "def my_mask(shapes, size, classes):\n"
            "    mask = Image.new('L', size)\n"
            "    for shape in shapes:\n"
            "        points = [tuple(point) for point in shape['points']]\n"
            "        ImageDraw.Draw(mask).polygon(points, fill=255)\n"
            "    return mask",
            "0 and 255",
        ),
        (
            "def my_mask(shapes, size, classes):\n"
            "    for shape in shapes:\n"
            "        mask = Image.new('L', size)\n"
            "        points = [tuple(point) for point in shape['points']]\n"
            "        ImageDraw.Draw(mask).polygon(points, fill=classes.index(shape['label']))\n"
            "    return mask",
            "only the last shape",
        ),
        (
            "def my_mask(shapes, size, classes):\n"
            "    mask = Image.new('L', size)\n"
            "    for shape in shapes:\n"
            "        points = [tuple(point) for point in shape['points']]\n"
            "        ImageDraw.Draw(mask).polygon(points, outline=classes.index(shape['label']))\n"
            "    return mask",
            "the inside is empty",
        ),
        (
            "def my_mask(shapes, size, classes):\n"
            "    mask = Image.new('L', size)\n"
            "    for shape in shapes:\n"
            "        if shape['label'] in classes:\n"
            "            points = [tuple(point) for point in shape['points']]\n"
            "            ImageDraw.Draw(mask).polygon(points, fill=classes.index(shape['label']))\n"
            "    return mask",
            "passes in silence",
        ),
        (
            "def my_mask(shapes, size, classes):\n"
            "    mask = Image.new('L', size[::-1])\n"
            "    for shape in shapes:\n"
            "        points = [tuple(point) for point in shape['points']]\n"
            "        ImageDraw.Draw(mask).polygon(points, fill=classes.index(shape['label']))\n"
            "    return mask",
            "width and height are exchanged",
        ),
    ],
    ("13_your_own_data", "repair"): [
        (
            "def my_repair(mask):\n    return Image.fromarray(np.array(mask) * 255)",
            "a mask that was right is changed",
        ),
        ("def my_repair(mask):\n    return mask.point(lambda value: 255 * (value > 0))", "128 in it passes in silence"),
        ("def my_repair(mask):\n    return mask.convert('1')", 'of mode "1"'),
        ("def my_repair(mask):\n    return mask", "still holds 0 and 1"),
    ],
    ("14_many_gpus", "part"): [
        (
            "def my_part(order, rank, processes, batch_size):\n"
            "    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]",
            "rank has to make a difference",
        ),
        (
            "def my_part(order, rank, processes, batch_size):\n"
            "    half = len(order) // processes\n"
            "    mine, size = order[rank * half : (rank + 1) * half], batch_size // processes\n"
            "    return [mine[begin : begin + size] for begin in range(0, len(mine), size)]",
            "Cut the order into batches first",
        ),
        (
            "def my_part(order, rank, processes, batch_size):\n"
            "    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]\n"
            "    return batches[rank::processes]",
            "takes part in each",
        ),
        (
            "def my_part(order, rank, processes, batch_size):\n"
            "    size = batch_size // processes\n"
            "    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]\n"
            "    padded = [batch + batch[: batch_size - len(batch)] for batch in batches]\n"
            "    return [batch[rank * size : (rank + 1) * size] for batch in padded]",
            "No padding",
        ),
    ],
    ("14_many_gpus", "weighted_mean"): [
        ("def my_mean(gradients, counts):\n    return sum(gradients) / len(gradients)", "the mean of the means"),
        (
            "def my_mean(gradients, counts):\n    return sum(g * c for g, c in zip(gradients, counts, strict=True))",
            "the sum over all pictures",
        ),
        (
            "def my_mean(gradients, counts):\n"
            "    return sum(g * c for g, c in zip(gradients, counts, strict=True)) / len(counts)",
            "divide by the pictures",
        ),
    ],
    ("14_many_gpus", "epochs"): [
        ("def my_epochs():\n    return 100", "the batch of all stays at 4"),
        ("def my_epochs():\n    return 100 / 8", "the wrong way"),
        ("def my_epochs():\n    return 1", "how many steps one epoch has now"),
        ("def my_epochs():\n    return 400", "in batches of 32"),
        ("def my_epochs():\n    return 6400", "have 800 steps, not 6400"),
    ],
    ("14_many_gpus", "iou_of_all"): [
        (
            "def my_iou(matrices):\n"
            "    each = [(m[1, 1] / (m[1].sum() + m[:, 1].sum() - m[1, 1])).item() for m in matrices]\n"
            "    return sum(each) / len(each)",
            "the mean of the processes' own IoUs",
        ),
        (
            "def my_iou(matrices):\n    m = sum(matrices)\n    return (m.diag().sum() / m.sum()).item()",
            "the pixel accuracy",
        ),
        (
            "def my_iou(matrices):\n    m = matrices[0]\n"
            "    return (m[1, 1] / (m[1].sum() + m[:, 1].sum() - m[1, 1])).item()",
            "process 0 alone",
        ),
        (
            "def my_iou(matrices):\n    m = sum(matrices)\n"
            "    return (2 * m[1, 1] / (m[1].sum() + m[:, 1].sum())).item()",
            "that is Dice",
        ),
    ],
}
