"""Typical wrong answers to the exercises, and the hint each must get.

The key is the notebook's stem and the exercise's name: `check_iou` checks the exercise `iou`. A wrong answer is the
code that a reader would write into the stub, under the stub's name, and a piece of the hint meant for it.
"""

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
    ("00_start_here", "predict_threshold"): [
        ("def my_predict(outputs):\n    return (outputs[:, 0] > 0.5).long()", "logit 0.3 is left out"),
        ("def my_predict(outputs):\n    return (outputs > 0).long()", "the channel is still there"),
        (
            "def my_predict(outputs):\n    return (torch.sigmoid(torch.sigmoid(outputs[:, 0])) > 0.5).long()",
            "everything is fruit",
        ),
        ("def my_predict(outputs):\n    return torch.sigmoid(outputs[:, 0])", "these are probabilities"),
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
            "    from seglib.labels import resize_labels\n\n"
            "    return resize_labels(torch.from_numpy(np.array(mask)), size)",
            "a PIL image is wanted",
        ),
    ],
    ("07_cuda", "mean_loss"): [
        (
            "def my_mean_loss(losses, counts):\n"
            "    total = sum(loss.item() * count for loss, count in zip(losses, counts))\n"
            "    return torch.tensor(total / sum(counts))",
            "it asks 3 times",
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
    ("07_cuda", "from_bytes"): [
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
    ("07_cuda", "accumulate"): [
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
}
