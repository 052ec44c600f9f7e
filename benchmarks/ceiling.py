"""How good can a mask be that a DeepLab draws with coarse logits? The ceiling of every IoU goal in this series.

A DeepLabV3 on MobileNetV3 computes one logit for each 16x16 pixels and enlarges the logits bilinearly. Here no
network is trained: the coarse logits themselves are fitted to the validation masks by gradient descent, so what they
miss is due to the coarse grid alone. No training can beat this by much; a share of it is a fair goal.

    python -m benchmarks.ceiling        writes benchmarks/results/ceiling.json
"""

import time
from math import ceil

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks.common.results import results_path, write_record
from benchmarks.common.samples import SAMPLES
from seglib.data.splits import read_split
from seglib.model import BUNDLED_MODEL, output_stride

SIZES = [(120, 160), (192, 256), (240, 320)]  # (height, width)
OUTPUT_STRIDE = output_stride(BUNDLED_MODEL)
STEPS = 600


def fit_coarse_logits(masks: torch.Tensor, stride: int = OUTPUT_STRIDE, steps: int = STEPS) -> torch.Tensor:
    """Fits coarse logits, enlarged bilinearly, to masks.

    Args:
        masks: (N, H, W) float, 0 or 1.
        stride: pixels of the mask a coarse logit, along each side.
        steps: steps of Adam. The first half minimises cross-entropy, which finds the shape; the second half
            minimises the soft Jaccard loss over all pictures together, which is IoU made differentiable.

    Returns:
        (N, H, W) bool: the masks that the logits draw at threshold 0.
    """
    height, width = masks.shape[1:]
    coarse = (ceil(height / stride), ceil(width / stride))
    logits = F.adaptive_avg_pool2d(masks[:, None], coarse).sub(0.5).mul(8).requires_grad_()  # (N, 1, h, w)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.02)

    def enlarged() -> torch.Tensor:
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[:, 0]  # (N, H, W)

    for step in range(steps):
        optimizer.zero_grad()
        if step < steps // 2:
            loss = F.binary_cross_entropy_with_logits(enlarged(), masks)
            loss = (
                loss * masks.numel() / 1000
            )  # undoes the mean, which shrinks each logit's gradient as pixels are added
        else:
            share = torch.sigmoid(2 * enlarged())
            both = (share * masks).sum()
            loss = 100 * (1 - both / (share + masks - share * masks).sum())
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        return enlarged() > 0


def ceiling(masks: torch.Tensor, stride: int = OUTPUT_STRIDE, steps: int = STEPS) -> float:
    """IoU, from one confusion matrix over all of `masks` (N, H, W), of the best coarse logits that we can find.

    >>> round(ceiling(torch.ones(1, 32, 32), steps=20), 2)
    1.0
    """
    predicted = fit_coarse_logits(masks, stride, steps)
    target = masks > 0.5
    return float((predicted & target).sum() / (predicted | target).sum())


def read_masks(stems: list[str], size: tuple[int, int]) -> torch.Tensor:
    """(N, H, W) float, 0 or 1: the masks of `stems`, resized to `size` (height, width) without making new values."""
    masks = [
        Image.open(SAMPLES / "masks" / f"{stem}.png").resize(size[::-1], Image.Resampling.NEAREST) for stem in stems
    ]
    return torch.from_numpy(np.stack([np.asarray(mask) > 127 for mask in masks])).float()


def measure(stems: list[str], size: tuple[int, int]) -> dict[str, object]:
    """The ceiling at one size: over all pictures together, their mean, and the picture with the lowest."""
    masks = read_masks(stems, size)
    begin = time.perf_counter()
    predicted = fit_coarse_logits(masks)
    target = masks > 0.5
    alone = (predicted & target).sum((1, 2)) / (predicted | target).sum((1, 2))
    return {
        "height": size[0],
        "width": size[1],
        "iou": round(float((predicted & target).sum() / (predicted | target).sum()), 4),
        "mean_of_pictures": round(float(alone.mean()), 4),
        "lowest_picture": round(float(alone.min()), 4),
        "lowest_stem": stems[int(alone.argmin())],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main() -> None:
    torch.manual_seed(0)
    stems = read_split(SAMPLES / "split.json").validation
    rows = []
    for size in SIZES:
        rows.append(measure(stems, size))
        print(rows[-1], flush=True)
    figures = {"output_stride": OUTPUT_STRIDE, "steps": STEPS, "pictures": len(stems), "sizes": rows}
    write_record(
        results_path("ceiling"), "best IoU of coarse logits, enlarged bilinearly, on the validation masks", figures
    )


if __name__ == "__main__":
    main()
