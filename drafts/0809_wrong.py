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
