"""Renders small path-traced pictures of things that are no fruit, with labels, to pretrain a segmentation network on.

Tables, walls, lights and cameras are those of ``render_samples.py``, but the camera stands nearer. All kinds of things
draw paint and size from the same distributions: only shape tells them apa A scene is ``NNNNN.png``, labels as in
CLASS_NAMES, one exact sample a pixel, and ``NNNNN.jpg``, the photograph, which appears last. The series has no end; a
scene depends on the seed and its number alone. Stopped, the same command goes on with the first scene that is missing.

    render_env/bin/python -m tools.assets.render_pretraining scenes        # the environment of render_samples.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import tempfile
import time
from math import cos, pi, radians, sin
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Matrix
from PIL import Image

from tools.assets.render_samples import LIGHTS, TABLES, WALLS, Table, add_camera, add_light, render, scatter
from tools.assets.render_things import (
    Shader,
    Thing,
    ball,
    block,
    book,
    box,
    cloth,
    crate,
    leaf,
    loud,
    mug,
    revolve,
    shade,
    sphere_grid,
    spoon,
    surface,
    table_material,
    tube,
    vase,
    vertices,
    wall_material,
    waves,
)
from tools.assets.scene_classes import CLASS_NAMES

SIZE = (240, 320)  # height, width
LONG = {"spoon": 1.5, "book": 1.3, "plate": 1.4, "cloth": 1.3, "leaf": 1.2, "pin": 1.2, "hook": 1.2, "vase": 1.3}
LYING = {"mug": 0.15, "vase": 0.3, "pin": 0.5, "cone": 0.4, "mushroom": 0.3}  # how often a thing has been knocked over
MAKERS = {  # of kinds that `render_things` has
    "ball": ball,
    "mug": mug,
    "vase": vase,
    "book": book,
    "crate": crate,
    "spoon": spoon,
    "leaf": leaf,
    "cloth": cloth,
}
OWN_PAINT = {"ball": 0.5, "leaf": 0.4, "cloth": 0.5}  # how often a thing keeps the paint that its maker gave it


def paint(rng: np.random.Generator) -> bpy.types.Material:
    """A material for any kind of thing: blotches, streaks, bands or a gradient, with or without specks and pits."""
    s = Shader()
    first = loud(rng)
    second = loud(rng) if rng.random() < 0.5 else shade(first, rng.choice([0.5, 0.75, 1.35]))
    drawn = rng.choice([1.0, 0.1, 0.1])
    stretch = tuple(np.where(np.arange(3) == rng.integers(3), drawn, 1.0))
    pattern = s.noise(
        10 ** rng.uniform(1.3, 2.2), s.coords(stretch), detail=rng.uniform(1, 6), distortion=rng.uniform(0, 1)
    )
    kind = rng.choice(["noise", "gradient", "bands"])
    middle = rng.uniform(0.4, 0.62)
    width = rng.uniform(0.03, 0.25)
    if kind != "noise":
        along = s.add("SeparateXYZ", {0: s.coords((1 / rng.uniform(0.02, 0.09),) * 3)}).outputs[int(rng.integers(3))]
        along = s.math("PINGPONG", along, 1.0) if kind == "bands" else s.math("ADD", along, 0.5)
        pattern = s.math("ADD", along, s.math("MULTIPLY", s.math("SUBTRACT", pattern, 0.5), rng.uniform(0, 1.2)))
    colour = s.mix(s.ramp(pattern, middle - width, middle + width), first, second)
    if rng.random() < 0.45:
        size = rng.uniform(0.1, 0.3)
        specks = s.math("MULTIPLY", s.spots(10 ** rng.uniform(1.7, 2.5), size * 0.6, size), rng.uniform(0.2, 0.9))
        colour = s.mix(specks, colour, shade(loud(rng), 1.2))
    pits = s.add("TexVoronoi", {"Vector": s.coords(), "Scale": rng.uniform(150, 450)}).outputs[0]
    bump = s.ramp(pits, 0.0, 0.5) if rng.random() < 0.35 else s.noise(rng.uniform(30, 150))
    return s.finish(
        colour, rng.uniform(0.12, 0.8), bump=bump, depth=rng.uniform(0, 0.0006), coat=rng.choice([0, 0, 0.2, 0.7])
    )


def make_box(skin: bpy.types.Material, low: float, rng: np.random.Generator) -> Thing:
    size = rng.uniform(0.04, 0.09, 3)
    body = box(size, (0, 0, 0), skin, bevel=size.min() * (0.03 + 0.3 * low))
    body.modifiers["bevel"].segments = 5
    return Thing([body], block(size))


def make_hook_or_ring(
    name: str, skin: bpy.types.Material, low: float, high: float, rng: np.random.Generator
) -> list[bpy.types.Object]:
    """A bent tube: open, with rounded ends, or closed."""
    t = np.linspace(0, 1, 90)
    bend = rng.uniform(2.6, 4.4)
    turns = [bend * t, bend * np.clip(2 * t - low, 0, 1), 0.5 * bend * np.sin(2 * pi * t)]
    angle = turns[rng.integers(3)] if name == "hook" else 2 * pi * t * 90 / 89
    path = np.cumsum(np.stack([np.cos(angle), np.sin(angle), 0 * t], -1), 0) / 600
    ends = np.clip(1 - np.abs(2 * t - 1) ** 40, 0.0001, 1) ** 0.5 if name == "hook" else 1.0 + 0 * t
    return [tube(path, ends * (0.004 + 0.005 * high), skin, sides=24)]


def make_stone(skin: bpy.types.Material, low: float, high: float, rng: np.random.Generator) -> list[bpy.types.Object]:
    unit = sphere_grid(50, 80)[2]
    uneven = 1 + (0.02 + 0.08 * low) * waves(rng, unit, 1.3)[..., None]
    return [surface(0.04 * unit * (1, rng.uniform(0.6, 0.95), 0.4 + 0.4 * high) * uneven, skin)]


def profile_of(name: str, low: float, high: float) -> tuple[list[float], list[float]]:
    """Radii and heights of a plate, a pin, a cone or the cap of a mushroom."""
    rim = 0.012 + 0.025 * low
    neck = 0.2 + 0.3 * low
    top = 0.06 + 0.02 * high
    base = 0.02 + 0.025 * high
    lift = rim / 4
    cap = cap_radius(high)
    tip = 0.01 * low
    dome = 0.04 + cap * (0.7 + 0.2 * low)
    return {
        "plate": (
            [0, 0.06, 0.07, 0.1, 0.1, 0.07, 0.06, 0],
            [0, 0, lift, rim, rim + 0.003, lift + 0.004, 0.004, 0.004],
        ),
        "pin": ([0, 0.018, 0.027, 0.027 * neck, 0.016, 0.01, 0], [0, 0, 0.035, top, 0.1, 0.12, 0.12]),
        "cone": ([0, base, base, base * 0.95 + 0.05 * tip, tip, tip, 0], [0, 0, 0.001, 0.004, 0.08, 0.081, 0.081]),
        "mushroom": ([0, cap, cap * 1.05, cap * 0.7, 0], [0.04, 0.036, 0.045, 0.04 + cap * 0.7, dome]),
    }[name]


def cap_radius(high: float) -> float:
    return 0.03 + 0.02 * high


def shape(name: str, rng: np.random.Generator) -> Thing:
    """Makes a thing of a kind that `render_things` does not have."""
    skin = paint(rng)
    low, high = rng.uniform(0, 1, 2)  # two proportions of the thing
    if name == "box":
        return make_box(skin, low, rng)
    if name in ("hook", "ring"):
        items = make_hook_or_ring(name, skin, low, high, rng)
    elif name == "stone":
        items = make_stone(skin, low, high, rng)
    else:
        items = [revolve(np.stack(profile_of(name, low, high), -1), skin, sides=64)]
    if name == "mushroom":
        stem = cap_radius(high) * (0.2 + 0.25 * rng.random())
        items.append(revolve([(0, 0), (stem * 1.3, 0), (stem, 0.02), (stem, 0.042)], paint(rng), sides=40))
    return Thing(items, vertices(*items))


def make(label: int, rng: np.random.Generator) -> Thing:
    """A painted thing of the kind CLASS_NAMES[label], turned, upright or knocked over, in the size all kinds have."""
    name = CLASS_NAMES[label]
    kind = "crate" if name == "box" and rng.random() < 0.4 else name
    thing = MAKERS[kind](rng) if kind in MAKERS else shape(name, rng)
    new = paint(rng)
    old = thing.objects[0].data.materials[0]
    if rng.random() >= OWN_PAINT.get(name, 0.0):
        for item in (item for item in thing.objects if item.data.materials[0] == old):
            item.data.materials[0] = new
    down = pi / 2 + rng.normal(0, 0.1) if rng.random() < LYING.get(name, 0.0) else 0.0
    turn = (Euler((0, 0, rng.uniform(0, 6.3))).to_matrix() @ Euler((down, 0, 0)).to_matrix()).to_4x4()
    size = rng.uniform(0.05, 0.11) * LONG.get(name, 1.0) / np.ptp(thing.points, axis=0).max()
    thing.matrix = turn @ thing.matrix @ Matrix.Scale(size, 4)
    thing.label = label
    return thing


def build(rng: np.random.Generator) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    azimuth = -pi / 2 + rng.normal(0, 0.25)
    elevation = radians(rng.uniform(*((13, 40), (30, 65))[rng.integers(2)]))
    count = int(rng.integers(3, 8))
    back = rng.uniform(0.22, 0.6)
    frame = rng.uniform(0.18, 0.24) + 0.012 * count  # metres that the picture is wide
    right = np.array([-sin(azimuth), cos(azimuth)])
    forward = -np.array([cos(azimuth), sin(azimuth)])
    top = box((2.4, 1.9, 0.04), (0, 0, 0), table_material(rng.choice(TABLES), rng), bevel=0.004)
    top.matrix_world = Matrix.Translation((rng.normal(0, 0.3), back - 0.95, -0.02))
    wall = box((6, 4, 0.02), (0, 0, -0.01), wall_material(rng.choice(WALLS), rng), bevel=0)
    gap = rng.choice([0.0, rng.uniform(0.1, 0.6)])
    wall.matrix_world = Matrix.Translation((0, back + gap, 0)) @ Matrix.Rotation(pi / 2, 4, "X")
    labels = rng.choice(np.arange(1, len(CLASS_NAMES)), count)

    def near_the_middle() -> tuple[float, float]:
        return rng.normal(0, 0.26) * frame, rng.normal(0.05, 0.28) * frame

    makers = [functools.partial(make, int(label)) for label in labels]
    scatter(Table(), rng, makers, near_the_middle, right=right, forward=forward)
    add_light(rng.choice(LIGHTS), rng, azimuth)
    add_camera(rng, 0, azimuth, elevation, frame)
    bpy.context.scene.camera.data.dof.aperture_fstop = float(rng.choice([5.6, 8.0, 11.0, 16.0]))


def photograph(folder: Path, rng: np.random.Generator) -> Image.Image:
    """One path a pixel, metered and balanced as a camera does, not quite rightly; a lens and a sensor with faults."""
    scene = bpy.context.scene
    view = bpy.context.scene.view_settings
    render(folder / "light.exr", SIZE, 1, raw=False, kind="OPEN_EXR")
    image = bpy.data.images.load(str(folder / "light.exr"))
    pixels = np.empty((*SIZE, 4), np.float32)
    image.pixels.foreach_get(pixels.reshape(-1))
    pixels[..., :3] *= np.exp(rng.normal(0, 0.06, 3))
    image.pixels.foreach_set(pixels.reshape(-1))
    light = pixels[..., :3] @ (0.2126, 0.7152, 0.0722)
    level = np.exp(np.log(np.clip(light, 1e-4, None)).mean()) * 0.6 + np.percentile(light, 90) * 0.2
    view.exposure = float(np.log2(0.25 / level) + rng.normal(0, 0.3))
    scene.render.image_settings.file_format = "PNG"
    image.save_render(str(folder / "photo.png"), scene=scene)
    picture = np.asarray(Image.open(folder / "photo.png").convert("RGB"), np.float32)
    y, x = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]), indexing="ij")
    picture = picture * (1 - rng.uniform(0.0, 0.12) * (x**2 + y**2) / 2)[..., None]
    picture += rng.normal(0, rng.uniform(0.6, 1.6), SIZE)[..., None] + rng.normal(0, 0.5, picture.shape)
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8))


def label_map(folder: Path) -> Image.Image:
    """The kind of thing in each pixel. Spoils the scene for photographs."""
    s = Shader()
    scene = bpy.context.scene
    value = s.math("MULTIPLY", s.add("ObjectInfo", {}).outputs["Object Index"], 15 / 255)
    glow = s.add("Emission", {"Color": value, "Strength": 1.0})
    s.tree.links.new(glow.outputs[0], s.add("OutputMaterial", {}).inputs[0])
    bpy.context.view_layer.material_override = s.material
    for lamp in bpy.data.lights:
        lamp.energy = 0
    scene.camera.data.dof.use_dof = False
    scene.view_settings.exposure = 0
    scene.world.node_tree.nodes["Background"].inputs[1].default_value = 0
    render(folder / "labels.bmp", SIZE, 1, raw=True, kind="BMP")
    value = np.asarray(Image.open(folder / "labels.bmp").convert("RGB"))[..., 1] / 15.0
    assert np.abs(value - np.round(value)).max() < 0.2, "the label pass holds a colour that is no label"
    return Image.fromarray(np.round(value).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for index in itertools.count():
        path = options.folder / f"{index:05d}.jpg"
        start = time.perf_counter()
        if path.exists():
            continue
        rng = np.random.default_rng((options.seed, index))
        build(rng)
        bpy.context.scene.render.threads_mode = "FIXED"
        bpy.context.scene.render.threads = options.threads
        with tempfile.TemporaryDirectory() as folder:
            photo = photograph(Path(folder), rng)
            labels = label_map(Path(folder))
        for picture, name, kind in ((labels, path.with_suffix(".png"), "PNG"), (photo, path, "JPEG")):
            picture.save(name.with_suffix(".partial"), kind, quality=95)
            os.replace(name.with_suffix(".partial"), name)
        print(f"{path.name}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
