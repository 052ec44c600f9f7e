"""An endless, seeded stream of abstract shaded shapes with label maps, to pretrain a segmentation network on.

No picture here shows a real thing. Each shows a few solids (balls, boxes, rings, folded cloth...) on a textured ground
before a wall, with light, shadow, occlusion, blur and noise. All colours, of solids and grounds alike, come from one
distribution, so colour says nothing about the class: a network has to learn shape, shading and texture.

A picture is a pure function of (seed, index, size). A stream can therefore stop and go on anywhere.

    python -m tools.assets.procedural sheet.png        # a contact sheet: pictures beside their labels
"""

from __future__ import annotations

import functools
import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from tools.assets.solids import SOLIDS, UPRIGHT, Array, Rng, f32, unit

CLASS_NAMES = ("background", *(solid.__name__ for solid in SOLIDS))
NUM_CLASSES = len(CLASS_NAMES)


def _blur(plane: Array, radius: float) -> Array:
    """Blurs a (h, w) array of range [0, 1] with a Gaussian of `radius` pixels."""
    picture = Image.fromarray((plane * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(radius)))
    return f32(picture) / 255


@functools.cache
def _noise_bank() -> Array:
    """Returns (24, 256, 256) float32 tiles in [0, 1]: noise from coarse to fine, every third one streaked like wood."""
    rng = np.random.default_rng(2024)
    size = 256
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.rfftfreq(size)[None] * size
    tiles = []
    for i in range(24):
        stretch = (1, 1, 10)[i % 3]
        f = np.hypot(fx * stretch, fy) + 2.0
        tile = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) / f ** rng.uniform(0.6, 2.2), (size, size))
        tiles.append(np.clip(0.5 + 0.22 * (tile - tile.mean()) / tile.std(), 0, 1))
    return f32(tiles)


def _pattern(rng: Rng, u: Array, v: Array) -> Array:
    """Returns a random pattern in [0, 1] over the coordinates (u, v), in which a solid is about 1 wide."""
    bank = _noise_bank()
    scale = 2 ** rng.uniform(4.5, 7.5)
    du, dv = rng.uniform(0, 256, 2)
    noise = bank[
        rng.integers(len(bank)), (v * scale + dv).astype(np.int32) & 255, (u * scale + du).astype(np.int32) & 255
    ]
    kind = rng.integers(7)
    f = 2 ** rng.uniform(0.8, 3.4)
    if kind == 0:  # stripes, bent by noise
        return np.clip(0.5 + rng.uniform(0.6, 4) * np.sin(6.28 * f * (u + rng.uniform(0, 0.3) * noise)), 0, 1)
    if kind == 1:  # checks
        return f32((np.floor(u * f) + np.floor(v * f)) % 2) * 0.8 + 0.2 * noise
    if kind == 2:  # bricks or planks, with joints
        row = np.floor(v * f)
        joint = ((v * f) % 1 < 0.1) | ((u * f * 0.4 + 0.37 * row) % 1 < 0.04)
        return np.where(joint, 1.0, 0.5 * noise + 0.4 * ((row * 0.618) % 1))
    if kind == 3:  # speckles
        return np.clip((noise - rng.uniform(0.55, 0.75)) * 12, 0, 1)
    if kind == 4:  # a gradient with some noise
        return np.clip(0.5 + rng.uniform(-0.6, 0.6) * u + rng.uniform(-0.6, 0.6) * v + 0.3 * (noise - 0.5), 0, 1)
    return noise if kind == 5 else np.clip(0.5 + rng.uniform(0.1, 0.5) * (noise - 0.5), 0, 1)


def _colour(rng: Rng, near: Array | None = None) -> Array:
    """Returns one linear RGB albedo (3,); with `near`, one not far from it (a camouflaged scene)."""
    if near is not None:
        return np.clip(near * np.exp(rng.normal(0, 0.25, 3)), 0.02, 0.95).astype(np.float32)
    hue = np.clip(np.abs((rng.random() * 6 + f32([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    value = np.exp(rng.uniform(np.log(0.06), np.log(0.9)))
    return f32(value * (1 - rng.beta(1.2, 1.2) * (1 - hue)))


def _albedo(rng: Rng, u: Array, v: Array, near: Array | None) -> Array:
    """Returns the colours (3, h, w) of a surface: two colours mixed by a pattern, at times faint."""
    one = _colour(rng, near)
    two = _colour(rng, near)
    if rng.random() < 0.5:  # most real things are of one hue, lighter and darker
        two = np.clip(one * rng.uniform(0.4, 1.8), 0, 1)
    return one[:, None, None] + (two - one)[:, None, None] * (_pattern(rng, u, v) * rng.choice([0.25, 0.6, 1.0]))


def _ground(rng: Rng, x: Array, y: Array, near: Array | None) -> tuple[Array, float]:
    """Returns the colours (3, h, w) of ground and wall, and the row share of the horizon (below 0: out of sight)."""
    horizon = rng.uniform(-0.5, 0.5)
    depth = 1 / np.maximum(y - horizon + 0.25, 0.05)  # perspective: what is near the horizon is far away
    turn = rng.uniform(0, np.pi)
    gu = (x - 0.5) * depth
    gv = depth
    colours = _albedo(rng, gu * np.cos(turn) + gv * np.sin(turn) + 9, gv * np.cos(turn) - gu * np.sin(turn) + 9, near)
    if horizon > 0:
        wall = _albedo(rng, x + 1, y + 1, near) * f32(rng.uniform(0.4, 1.1))
        colours = np.where(y < horizon, wall, colours)
    for _ in range(rng.integers(0, 3)):  # flat patches without shading: outlines that are no solids, and not labelled
        cx, cy = rng.uniform(0, 1, 2)
        w, h = rng.uniform(0.05, 0.35, 2)
        a = rng.uniform(0, np.pi)
        px = (x - cx) * np.cos(a) + (y - cy) * np.sin(a)
        py = (y - cy) * np.cos(a) - (x - cx) * np.sin(a)
        power = rng.choice([1.0, 2.0, 8.0])
        patch = np.abs(px / w) ** power + np.abs(py / h) ** power < 1
        colours = np.where(patch, _albedo(rng, px / w + 2, py / w + 2, near), colours)
    return colours, horizon


def _shadow(mask: Array, base: float, light: Array, soft: float) -> Array:
    """Returns the cast shadow (h, w) in [0, 1] of a solid that stands on row `base`: its outline laid on the ground."""
    slide = -light[0] / light[1]
    lay = np.clip(0.5 * light[2] / light[1], -0.7, 0.7)
    lay = lay if abs(lay) > 0.15 else 0.15 * (1 if light[0] > 0 else -1)
    # For the output pixel (x, y): what stands (base - y) / lay above the ground falls there, slid sideways.
    matrix = (1, slide / lay, -slide * base / lay, 0, 1 / lay, base - base / lay)
    plane = Image.fromarray((mask * 255).astype(np.uint8)).transform(mask.shape[::-1], Image.Transform.AFFINE, matrix)
    return f32(plane.filter(ImageFilter.GaussianBlur(float(soft)))) / 255


class Light(NamedTuple):
    direction: Array  # (3,) toward the light, length 1
    key: Array  # (3, 1, 1) the strength of its red, green and blue
    ambient: Array  # (3, 1, 1) what comes from everywhere
    lamp: Array  # (h, w) in [0, 1]: a lamp's light falls off


def _light(rng: Rng, x: Array, y: Array) -> Light:
    direction = unit(f32([rng.uniform(-1, 1), rng.uniform(0.4, 1.2), rng.uniform(-0.4, 0.9)]))
    key = f32(np.exp(rng.normal(0, 0.12, 3))) * f32(rng.uniform(0.6, 1.6))
    ambient = f32(np.exp(rng.normal(0, 0.12, 3))) * f32(rng.uniform(0.12, 0.6))
    lx = rng.uniform(-0.2, 1.2)
    ly = rng.uniform(-0.3, 1)
    reach = rng.uniform(0.5, 2.5)
    lamp = np.exp(-((x - lx) ** 2 + (y - ly) ** 2) / reach**2)
    return Light(direction, key[:, None, None], ambient[:, None, None], lamp)


def _lit(
    rng: Rng, solid: Callable, x: Array, y: Array, step: float, *, light: Light, near: Array | None
) -> tuple[Array, Array]:
    """Returns which pixels a solid covers, (h, w) bool, and the light (3, h, w) that it sends to us."""
    angle = rng.normal(0, 0.15) if solid in UPRIGHT else rng.uniform(-np.pi, np.pi)
    c = f32(np.cos(angle))
    s = f32(np.sin(angle))
    inside, n, brightness = solid(rng, c * x + s * y, c * y - s * x, step)
    n = np.stack([c * n[0] - s * n[1], s * n[0] + c * n[1], n[2]])  # back to the camera's axes
    if rng.random() < 0.25:  # a rough skin
        tile = _noise_bank()[rng.integers(8) * 3]
        bump = tile[np.ix_(*(np.arange(side) & 255 for side in x.shape))] - 0.5
        n = unit(n + rng.uniform(0.3, 1.2) * np.stack([bump, np.roll(bump, 5, 1), 0 * bump]))
    wrap = 0.35 * rng.uniform(0, 1)  # how far the texture goes around the solid
    skin = _albedo(rng, x + wrap * n[0] + 3, y + wrap * n[1] + 3, near)
    shade = np.maximum(np.tensordot(light.direction, n, 1), 0) * light.lamp
    sky = 0.65 + 0.35 * n[1]  # less light comes from below
    lit = skin * (light.ambient * sky + light.key * shade) * brightness
    if rng.random() < 0.6:  # a highlight
        half = unit(light.direction + f32([0, 0, 1]))
        gloss = np.maximum(np.tensordot(half, n, 1), 0) ** f32(2 ** rng.uniform(2, 7))
        lit = lit + light.key * (rng.uniform(0.05, 0.7) * gloss * light.lamp)
    return inside, lit


@dataclass
class _Scene:
    """A picture under construction, and what all its solids share. All arrays are (..., h, w)."""

    canvas: Array  # (3, h, w) light
    labels: Array  # (h, w) uint8
    light: Light
    near: Array | None  # the colour that all others are near to, in a camouflaged scene
    rows: Array
    columns: Array
    below_horizon: Array  # bool: where shadows fall
    soft: float  # of shadows, pixels
    dark: float  # of shadows, in [0, 1]


def picture(seed: int, index: int, size: tuple[int, int] = (120, 160)) -> tuple[Array, Array]:
    """Draws one picture.

    Args:
        seed: which stream.
        index: which picture of it.
        size: (height, width) in pixels.

    Returns:
        image: (height, width, 3) uint8 RGB.
        labels: (height, width) uint8, indices into `CLASS_NAMES`.
    """
    rng = np.random.default_rng((seed, index))
    height, width = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x = columns / width
    y = rows / width * (4 / 3)
    near = _colour(rng) if rng.random() < 0.2 else None
    colours, horizon = _ground(rng, x, y, near)
    light = _light(rng, x, y)
    scene = _Scene(
        canvas=colours * (light.ambient + light.key * max(light.direction[1], 0.3) * light.lamp),
        labels=np.zeros(size, np.uint8),
        light=light,
        near=near,
        rows=rows,
        columns=columns,
        below_horizon=y > horizon,
        soft=width * np.exp(rng.uniform(-5.0, -3.0)),
        dark=rng.uniform(0.2, 0.9),
    )
    shallow = rng.random() < 0.35  # depth of field: the ground, and the solids far away, are blurred
    if shallow:
        scene.canvas = _soften(scene.canvas, width * rng.uniform(0.003, 0.015))
    count = rng.integers(3, 9)
    feet = np.sort(rng.uniform(max(horizon, 0) + 0.1, 1.1, count))  # from far to near: each is drawn over the last
    crowd = rng.uniform(0.15, 0.85), rng.uniform(0.12, 0.5)  # every other scene crowds around one spot
    for i, foot in enumerate(feet):
        label = int(rng.integers(1, NUM_CLASSES))
        radius = 0.5 * width * np.exp(rng.uniform(np.log(0.11), np.log(0.62))) * (0.6 + 0.5 * foot)
        cx = width * (rng.normal(*crowd) if index % 2 else rng.uniform(0, 1))
        cy = height * foot - radius * rng.uniform(0.5, 0.9)
        _draw_solid(rng, scene, label, (cx, cy, radius), blurred=shallow and i < count - 2)
    return _camera(rng, scene.canvas, x, y), scene.labels


def _draw_solid(rng: Rng, scene: _Scene, label: int, circle: tuple[float, float, float], *, blurred: bool) -> None:
    """Draws a solid with its shadow into the scene, in place; `circle` is the centre and the radius it lies within."""
    cx, cy, radius = circle
    height, width = scene.labels.shape
    top = max(int(cy - radius), 0)
    left = max(int(cx - radius), 0)
    bottom = min(int(cy + radius) + 2, height)
    right = min(int(cx + radius) + 2, width)
    if bottom - top < 3 or right - left < 3:
        return
    window = np.s_[top:bottom, left:right]
    sx = (scene.columns[window] - cx) / radius
    sy = (cy - scene.rows[window]) / radius
    light = scene.light._replace(lamp=scene.light.lamp[window])
    inside, lit = _lit(rng, SOLIDS[label - 1], sx, sy, 1 / radius, light=light, near=scene.near)
    if not inside.any():
        return
    mask = np.zeros(scene.labels.shape, np.float32)
    mask[window] = inside
    base = top + np.flatnonzero(inside.any(1))[-1] - 0.15 * radius
    softness = scene.soft * (0.3 + radius / (0.2 * width))
    shadow = scene.dark * _shadow(mask, base, light.direction, softness)
    contact = np.roll(_blur(mask, max(radius * 0.12, 0.7)), int(radius * 0.08) + 1, 0) * rng.uniform(0.2, 0.7)
    canvas = scene.canvas * ((1 - shadow * scene.below_horizon) * (1 - contact))
    alpha = _blur(mask, width * rng.uniform(0, 0.008) + 0.4) if blurred else mask
    full = canvas.copy()
    full[:, top:bottom, left:right] = lit
    scene.canvas = canvas + (full - canvas) * alpha
    scene.labels[window][inside] = label


def _soften(canvas: Array, radius: float) -> Array:
    rgb = np.clip(canvas, 0, 2).transpose(1, 2, 0) * 127
    blurred = Image.fromarray(rgb.astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(radius)))
    return f32(blurred).transpose(2, 0, 1) / 127


def _camera(rng: Rng, canvas: Array, x: Array, y: Array) -> Array:
    """Turns light (3, h, w) into an 8-bit picture: exposure, white balance, vignette, tone curve, blur, noise, JPEG."""
    exposure = rng.uniform(0.25, 0.6) / max(float(canvas.mean()), 0.02)
    balance = f32(np.exp(rng.normal(0, 0.1, 3)))[:, None, None] * f32(exposure)
    vignette = 1 - rng.uniform(0, 0.6) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    tone = np.clip(canvas * balance * vignette, 0, None)
    tone = (tone / (1 + 0.25 * tone)) ** f32(1 / rng.uniform(1.6, 2.4))
    tone += rng.normal(0, 1, tone.shape).astype(np.float32) * f32(rng.uniform(0, 0.03))
    out = Image.fromarray((np.clip(tone, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
    out = out.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0 if rng.random() < 0.8 else 1.8)))
    if rng.random() < 0.4:
        data = io.BytesIO()
        out.save(data, "JPEG", quality=int(rng.integers(35, 95)))
        out = Image.open(data)
    return np.array(out)


def contact_sheet(
    path: str, seed: int = 0, columns: int = 4, rows: int = 6, size: tuple[int, int] = (120, 160)
) -> None:
    """Saves pictures beside their labels, and prints the milliseconds that one took."""
    palette = (np.random.default_rng(5).random((NUM_CLASSES, 3)) * 200 + 55).astype(np.uint8)
    palette[0] = 20
    start = time.perf_counter()
    drawn = [picture(seed, i, size) for i in range(columns * rows)]
    print(f"{(time.perf_counter() - start) / len(drawn) * 1000:.1f} ms a picture")
    pairs = [np.concatenate([image, palette[labels]], 1) for image, labels in drawn]
    lines = [np.concatenate(pairs[i * columns : (i + 1) * columns], 1) for i in range(rows)]
    Image.fromarray(np.concatenate(lines, 0)).save(path)


if __name__ == "__main__":
    contact_sheet(sys.argv[1] if len(sys.argv) > 1 else "sheet.png")
