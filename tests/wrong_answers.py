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
    ("08_when_to_stop", "patience"): [
        (
            "def my_stop(scores, patience, least_change):\n"
            "    for epoch in range(2, len(scores) + 1):\n"
            "        if scores[epoch - 1] < scores[epoch - 2]:\n"
            "            return epoch, epoch - 1\n"
            "    return len(scores), len(scores)",
            "it stops at the first fall",
        ),
        (
            "def my_stop(scores, patience, least_change):\n"
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
            "def my_stop(scores, patience, least_change):\n"
            "    best, best_epoch = -1, 0\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best + least_change:\n"
            "            best, best_epoch = score, epoch\n"
            "        if epoch - best_epoch > patience:\n"
            "            return epoch, best_epoch\n"
            "    return len(scores), best_epoch",
            "one epoch late",
        ),
        (
            "def my_stop(scores, patience, least_change):\n"
            "    best, best_epoch = -1, 0\n"
            "    for epoch, score in enumerate(scores, 1):\n"
            "        if score > best + least_change:\n"
            "            best, best_epoch = score, epoch\n"
            "        if epoch - best_epoch >= patience:\n"
            "            return epoch, epoch\n"
            "    return len(scores), len(scores)",
            "not the last one",
        ),
    ],
    ("08_when_to_stop", "safe_save"): [
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
    ("09_predict", "own_size"): [
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
    ("09_predict", "precision_recall"): [
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
    ("09_predict", "spans"): [
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
}
