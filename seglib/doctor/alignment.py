"""Owns the question whether a mask lies on its objects: its outline against the picture's edges. See 13_your_own_data.

Both are compared as thumbnails. For every place that the outline could be moved to, one number says how well it runs
along edges there, divided by the mean over all places: 1 is chance. A right mask fits best where it is.
"""

from typing import Any

import numpy as np
from PIL import Image

# Another place fits clearly better if its score is CLEARLY times that of the mask, and at least GOOD. Right masks,
# mirrored, reach at most 0.8 times their own score.
CLEARLY = 1.35
GOOD = 2.2
FARTHEST = 0.25  # share of the width or height: good scores farther away are chance
NOWHERE = 1.5  # below this score an outline follows the edges of its picture hardly better than by chance
TURNS: dict[str, Any] = {
    "mirrored left for right": np.s_[:, ::-1],
    "upside down": np.s_[::-1],
    "turned by half": np.s_[::-1, ::-1],
}


def thumbnail(picture: Image.Image, side: int = 96) -> np.ndarray:
    """A picture of any mode at a longer side of `side` pixels: (h, w) or (h, w, 3) float32, 0 to 1.

    96 are few enough that a mask drawn 8 pixels of 1280 too large still fits best where it is.
    """
    width, height = (max(1, round(side * length / max(picture.size))) for length in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float32) / 255


def edges_of(thumb: np.ndarray) -> np.ndarray:
    """How strong an edge is, and which way it runs, at each pixel of a thumbnail (h, w, 3): (3, h, w).

    The three numbers are the products dx dx, dx dy, dy dy of the gradient; they do not know from which side an edge is
    seen. Strong edges count little more than middling ones, so that one bright border does not decide the score alone.
    """
    dy, dx = np.gradient(thumb, axis=(0, 1))
    products = np.stack([dx * dx, dx * dy, dy * dy]).sum(axis=-1)  # (3, h, w)
    strength = products[0] + products[2]
    return products / (strength + 4 * np.median(strength) + 1e-6)


def outline_of(mask: np.ndarray) -> np.ndarray:
    """The same of a mask's thumbnail, (h, w) or one layer a class, (h, w, C): its outline, with a total length of 1."""
    dy, dx = np.gradient(mask.reshape(*mask.shape[:2], -1), axis=(0, 1))
    length = np.hypot(dx, dy) + 1e-9
    return (np.stack([dx * dx, 2 * dx * dy, dy * dy]) / length).sum(axis=-1) / length.sum()  # (3, h, w)


def alignment_scores(edges: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """How well an outline runs along the edges, for every way to move it; element (y, x): y down and x to the right.

    Args:
        edges: of `edges_of`, (3, h, w).
        outline: of `outline_of`, the same shape. What leaves on one side comes in on the other.

    Returns:
        (h, w), 1 on average; 1 everywhere, if there is no edge or no outline.

    Example:
        >>> mask = np.zeros((12, 16), np.float32); mask[2:6, 3:9] = 1
        >>> there = alignment_scores(edges_of(np.roll(mask, (1, 2), (0, 1))[..., None]), outline_of(mask))
        >>> [int(place) for place in np.unravel_index(there.argmax(), there.shape)]
        [1, 2]
    """
    spectrum = np.fft.rfft2(edges) * np.fft.rfft2(outline).conj()  # all places at once
    scores = np.fft.irfft2(spectrum.sum(axis=0), s=edges.shape[1:])
    mean = scores.mean()
    return scores / mean if mean > 1e-6 else np.ones_like(scores)


def describe_misalignment(thumb: np.ndarray, mask: np.ndarray) -> str:
    """What is wrong with the place of a mask, in words; empty if nothing is.

    Args:
        thumb: of the picture, (h, w, 3).
        mask: of the mask, (h, w) or (h, w, C).

    Returns:
        A key of `TURNS`; "5 % too far left" or the like; "elsewhere", where it fits in no way; or "".
    """
    edges = edges_of(thumb)
    outline = outline_of(mask)
    scores = alignment_scores(edges, outline)
    own = scores[0, 0]
    enough = max(CLEARLY * own, GOOD)
    turned = {name: alignment_scores(edges, outline_of(mask[turn]))[0, 0] for name, turn in TURNS.items()}
    best_turn = max(turned, key=lambda name: turned[name])
    if turned[best_turn] > enough:
        return best_turn
    shift = _describe_best_shift(scores, enough)
    if shift:
        return shift
    return "elsewhere" if own < NOWHERE and outline.any() and edges.any() else ""


def _describe_best_shift(scores: np.ndarray, enough: float) -> str:
    """How far off a mask is, if its best score (h, w) is above `enough` and not too far away; else empty."""
    y, x = np.unravel_index(scores.argmax(), scores.shape)
    down = np.fft.fftfreq(scores.shape[0])[y]  # share of the height, -0.5 to 0.5
    right = np.fft.fftfreq(scores.shape[1])[x]  # share of the width
    # A mask that fits better further down lies too far up.
    vertical = (abs(down), "up" if down > 0 else "down")
    horizontal = (abs(right), "left" if right > 0 else "right")
    distance, side = max(vertical, horizontal)
    if scores[y, x] > enough and distance < FARTHEST:
        return f"{100 * distance:.0f} % too far {side}"
    return ""
