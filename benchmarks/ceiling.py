"""How good can a mask be that a DeepLab draws with coarse logits? The ceiling of every IoU goal in this series.

A DeepLabV3 on MobileNetV3 computes one logit for each 16x16 pixels and enlarges the logits bilinearly. Here no
network is trained: the coarse logits themselves are fitted to the validation masks by gradient descent, so what is
lost is lost to the coarse grid alone. No training can beat this by much; a share of it is a fair goal.

    python benchmarks/ceiling.py        writes benchmarks/results/ceiling.json
"""

from __future__ import annotations

import json
import sys
import time
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.common.machine import machine

SIZES = [(120, 160), (192, 256), (240, 320)]  # (height, width)


def ceiling_at(size: tuple[int, int]) -> float:
    """The stored ceiling at (height, width); at a size that was never measured, that of the largest."""
    sizes = json.loads((ROOT / "benchmarks/results/ceiling.json").read_text(encoding="utf-8"))["sizes"]
    return next((row["iou"] for row in sizes if (row["height"], row["width"]) == tuple(size)), sizes[-1]["iou"])


def fit_coarse_logits(masks: torch.Tensor, output_stride: int = 16, steps: int = 600) -> torch.Tensor:
    """Fits coarse logits, enlarged bilinearly, to masks.

    Args:
        masks: (N, H, W) float, 0 or 1.
        output_stride: pixels of the mask a coarse logit, along each side.
        steps: steps of Adam. The first half minimises cross-entropy, which finds the shape; the second half
            minimises the soft Jaccard loss over all pictures together, which is IoU made differentiable.

    Returns:
        (N, H, W) bool: the masks that the logits draw at threshold 0.
    """
    count, height, width = masks.shape
    coarse = (ceil(height / output_stride), ceil(width / output_stride))
    logits = F.adaptive_avg_pool2d(masks[:, None], coarse).sub(0.5).mul(8).requires_grad_()  # (N, 1, h, w)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.02)

    def enlarged() -> torch.Tensor:
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[:, 0]  # (N, H, W)

    for step in range(steps):
        optimizer.zero_grad()
        if step < steps // 2:
            loss = F.binary_cross_entropy_with_logits(enlarged(), masks)
            loss = loss * masks.numel() / 1000  # a step must not depend on how many pixels there are
        else:
            share = torch.sigmoid(2 * enlarged())
            both = (share * masks).sum()
            loss = 100 * (1 - both / (share + masks - share * masks).sum())
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return enlarged() > 0


def ceiling(masks: torch.Tensor, output_stride: int = 16, steps: int = 600) -> float:
    """IoU, from one confusion matrix over all of `masks` (N, H, W), of the best coarse logits that we can find.

    >>> round(ceiling(torch.ones(1, 32, 32), steps=20), 2)
    1.0
    """
    predicted, target = fit_coarse_logits(masks, output_stride, steps), masks > 0.5
    return float((predicted & target).sum() / (predicted | target).sum())


def read_masks(stems: list[str], size: tuple[int, int]) -> torch.Tensor:
    """(N, H, W) float, 0 or 1: the masks of `stems`, resized to `size` (height, width) without making new values."""
    masks = [
        Image.open(ROOT / f"data_samples/masks/{stem}.png").resize(size[::-1], Image.Resampling.NEAREST)
        for stem in stems
    ]
    return torch.from_numpy(np.stack([np.asarray(mask) > 127 for mask in masks])).float()


def main() -> None:
    torch.manual_seed(0)
    stems = json.loads((ROOT / "data_samples/split.json").read_text())["validation"]
    rows = []
    for size in SIZES:
        masks, start = read_masks(stems, size), time.perf_counter()
        predicted, target = fit_coarse_logits(masks), masks > 0.5
        alone = (predicted & target).sum((1, 2)) / (predicted | target).sum((1, 2))
        row = {
            "height": size[0],
            "width": size[1],
            "iou": round(float((predicted & target).sum() / (predicted | target).sum()), 4),
        }
        row |= {"mean_of_pictures": round(float(alone.mean()), 4), "lowest_picture": round(float(alone.min()), 4)}
        row |= {"lowest_stem": stems[int(alone.argmin())], "seconds": round(time.perf_counter() - start, 1)}
        rows.append(row)
        print(row)
    result = {"what": "best IoU of coarse logits, enlarged bilinearly, on the validation masks", "machine": machine()}
    result |= {"output_stride": 16, "steps": 600, "pictures": len(stems), "sizes": rows}
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/ceiling.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
