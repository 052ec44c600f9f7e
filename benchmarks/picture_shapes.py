"""Pictures of mixed shapes at one training size: stretch them to it, or fit them in and pad?

The samples are cut to four shapes in turn (4:3, 3:4, 2:1, 1:1). For each seed there are two trainings by the recipe of
notebook 00, on the same pictures in the same order: "stretched", every picture resized to the training size whatever
its shape, and "fitted", resized in its own shape until it fits, the rest padded with ignored pixels. Each is judged on
the validation pictures at their own size, from one summed confusion matrix, with pictures that go through the same
geometry as in training. The stretched training is judged a second time on pictures in their own shape, with as many
pixels: what is lost if prediction sees another geometry than training.

    python -m benchmarks.picture_shapes        writes benchmarks/results/picture_shapes.json; minutes on two cores
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES, sample_files
from benchmarks.common.seeds import spread
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IGNORE_INDEX
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.data.splits import read_split
from seglib.data.transforms import Size, image_transform, joint_transform, resize_labels
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch

SEEDS = (0, 1, 2)
SHAPES = (4 / 3, 3 / 4, 2, 1)  # width over height
LONGER_SIDE = 640


def write_mixed_shapes(folder: Path) -> CustomDataset:
    """The samples, each cut in its middle to one of the shapes, the longer side 640 pixels."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    files = sample_files()
    for number, (image, mask) in enumerate(files):
        shape = SHAPES[number % len(SHAPES)]
        width = min(image.width, round(image.height * shape))
        height = min(image.height, round(image.width / shape))
        left = (image.width - width) // 2
        top = (image.height - height) // 2
        box = (left, top, left + width, top + height)
        factor = LONGER_SIDE / max(width, height)
        size = (round(width * factor), round(height * factor))
        image.resize(size, Image.Resampling.BILINEAR, box).save(folder / "images" / f"{files.stems[number]}.png")
        mask.resize(size, Image.Resampling.NEAREST, box).save(folder / "masks" / f"{files.stems[number]}.png")
    return CustomDataset(folder / "images", folder / "masks")


def fitted_size(own: Size, size: Size, scale: float = 1.0) -> list[int]:
    """The largest size of a picture's own shape that fits in."""
    factor = scale * min(size[0] / own[0], size[1] / own[1])
    return [max(1, round(side * factor)) for side in own]


def fit_and_pad(size: Size) -> Callable:
    """The training transform of `joint_transform`, with each picture in its own shape."""

    def rescale(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        scale = 0.7 + 0.8 * torch.rand(()).item()
        new = fitted_size((image.shape[-2], image.shape[-1]), size, scale)
        return v2.functional.resize(image, new), tv_tensors.Mask(resize_labels(mask, (new[0], new[1])))

    return v2.Compose(
        [
            rescale,
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
            v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Mask: IGNORE_INDEX, "others": 0}),
            v2.RandomHorizontalFlip(),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.float32, "others": None}, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            v2.ToPureTensor(),
            lambda image, mask: (image, mask[None]),
        ]
    )


def train(files: CustomDataset, transform: Callable, size: Size, seed: int, epochs: int) -> nn.Module:
    split = read_split(SAMPLES / "split.json")
    dataset = CustomDataset(files.image_folder, files.mask_folder, joint_transform=transform)
    loader = make_loaders(dataset.subset(split.train), dataset.subset(split.validation), seed=seed)[0]
    device = pick_device()
    seed_everything(seed)
    model = build_deeplab(verbose=False).to(device)
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4)
    scheduler = make_scheduler(optimizer, "poly", epochs * len(loader), warmup=8)
    for _ in range(epochs):
        train_one_epoch(model, loader, make_loss("bce_dice"), optimizer, device, scheduler=scheduler)
    return model


@torch.inference_mode()
def iou_at_own_size(model: nn.Module, files: CustomDataset, size: Size, geometry: str) -> float:
    """IoU of the validation pictures; `geometry` is "stretched", "fitted" or "own shape"."""
    model.eval()
    device = next(model.parameters()).device
    matrix = torch.zeros(2, 2, dtype=torch.int64)
    for image, mask in files.subset(read_split(SAMPLES / "split.json").validation):
        own = (image.height, image.width)
        seen = list(size)
        if geometry == "fitted":
            seen = fitted_size(own, size)
        if geometry == "own shape":
            factor = (size[0] * size[1] / (own[0] * own[1])) ** 0.5
            seen = [round(side * factor) for side in own]
        pixels = image_transform((seen[0], seen[1]), portrait=True)(image)[None]
        if geometry == "fitted":  # black, as the padding of the training
            black = -torch.tensor(IMAGENET_MEAN) / torch.tensor(IMAGENET_STD)
            canvas = black.view(1, 3, 1, 1).repeat(1, 1, *size)
            canvas[..., : seen[0], : seen[1]] = pixels
            pixels = canvas
        outputs = model(pixels.to(device))["out"].cpu()[..., : seen[0], : seen[1]]
        predicted = F.interpolate(outputs, own, mode="bilinear")[0, 0] > 0
        target = torch.from_numpy(np.array(mask)) > 0
        matrix += confusion_matrix(predicted.long(), target.long())
    return iou(matrix)[1].item()


def main() -> None:
    parser = option_parser(__doc__, "picture_shapes")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    size = (arguments.size[0], arguments.size[1])
    rows: dict[str, list[float]] = {"stretched": [], "fitted": [], "stretched, judged in their own shape": []}
    with tempfile.TemporaryDirectory() as scratch:
        files = write_mixed_shapes(Path(scratch))
        for seed in SEEDS:
            stretched = train(files, joint_transform(size, train=True), size, seed, arguments.epochs)
            rows["stretched"].append(iou_at_own_size(stretched, files, size, "stretched"))
            rows["stretched, judged in their own shape"].append(iou_at_own_size(stretched, files, size, "own shape"))
            fitted = train(files, fit_and_pad(size), size, seed, arguments.epochs)
            rows["fitted"].append(iou_at_own_size(fitted, files, size, "fitted"))
            print(seed, {name: round(values[-1], 4) for name, values in rows.items()}, flush=True)
    figures = {
        "size": size,
        "epochs": arguments.epochs,
        "seeds": SEEDS,
        "shapes": [round(shape, 3) for shape in SHAPES],
        "ious": {name: [round(value, 4) for value in values] for name, values in rows.items()},
        "mean": {name: round(statistics.mean(values), 4) for name, values in rows.items()},
        "spread": {name: round(spread(values), 4) for name, values in rows.items()},
    }
    write_record(arguments.out, "mixed shapes stretched to one size, or fitted and padded, three seeds", figures)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
