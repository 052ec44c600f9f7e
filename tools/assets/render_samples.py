"""Renders data_samples/: path-traced photographs of fruit on a table, each with two pixel-exact masks.

For every scene this writes, under --out (default: data_samples/ of this repository; the test scenes, from 48 on, under
its folder test/),

- ``images/fruit_NNN.jpg``: the photograph, JPEG quality 92, most 1280 wide and 960 high. A few are larger. A few are
  portraits, stored as a phone stores them: the pixels lie on their side and EXIF Orientation says how to turn them;
- ``masks/fruit_NNN.png``: 8-bit, one channel, upright: 255 is fruit, 0 is everything else;
- ``class_masks/fruit_NNN.png``: 0 background, 1 apple, 2 lemon, 3 banana, and 255 where the nine sub-samples of a
  pixel disagree, which happens only along an outline.

The masks come from a second pass with flat colours, no lens blur, no filter and no light, at three times the size.
The sample in the middle of a pixel labels it in ``masks/``. A stem belongs to its fruit; a loose leaf is background.

Each scene has a seed of its own (``seed_of``), so a scene can be made again without the others. The script can be
stopped at any time: a finished file is never made twice, and a file appears only when it is complete.

    python3.11 -m venv render_env && render_env/bin/pip install -r tools/assets/requirements-render.txt
    render_env/bin/python -m tools.assets.render_samples --scenes 0-63
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from math import cos, pi, radians, sin
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector
from PIL import Image

from tools.assets.render_things import (
    SMALL,
    TALL,
    Shader,
    Thing,
    apple,
    bananas,
    block,
    box,
    checked_cloth,
    fabric,
    lemon,
    loud,
    plain,
    revolve,
    rgb,
    table_material,
    vertices,
    wall_material,
    wood,
)

FIRST_TEST = 48  # scenes before it are trained on or validate; from it on they test
TEST_SCENES = 16
LARGE = {5, 21, 38, 58}  # 1600 wide, 1200 high
PORTRAIT = {3: 6, 12: 8, 20: 6, 29: 6, 40: 8, 51: 6, 62: 8}  # scene -> EXIF orientation
# Scenes that were looked at, found bad, and given another seed.
RESEEDED: dict[int, int] = {38: 7138, 44: 7144, 58: 7158, 60: 7160}
MIXES = ["A", "L", "B", "AL", "AB", "LB", "ALB", "A", "AL", "ALB", "LB", "AB"]
TABLES = ["pine", "check", "marble", "walnut", "painted", "cherry", "terracotta", "linen"]
WALLS = ["plaster", "tile", "brick", "boards", "paint"]
LIGHTS = ["noon", "window", "lamp", "overcast", "evening", "window", "noon", "dapple"]
CELL = 0.008  # metres: the grid on which things are kept from standing in each other


def seed_of(index: int) -> int:
    """The seed of scene `index`."""
    return RESEEDED.get(index, 7000 + index)


# ---------------------------------------------------------------------------------------------- the scene


@dataclass
class Table:
    """What stands where: cell -> height of the support, or None where something stands already."""

    cells: dict = field(default_factory=dict)

    def put(self, thing: Thing, x: float, y: float) -> bool:
        """Stands `thing` at (x, y) on whatever carries it, if there is room; says whether it did."""
        turned = thing.points @ np.array(thing.matrix.to_3x3()).T
        cells = set(map(tuple, np.floor((turned[:, :2] + (x, y)) / CELL).astype(int).tolist()))
        heights = {self.cells.get(cell, 0.0) for cell in cells}
        if len(heights) != 1 or None in heights:
            return False
        # Half a millimetre into the table, so that no light passes under the lowest vertex.
        self.block(cells)
        self.move(thing, (x, y, heights.pop() - float(turned[:, 2].min()) - 0.0005))
        return True

    def block(self, cells, height=None) -> None:
        self.cells.update(dict.fromkeys(cells, height))

    def move(self, thing: Thing, place) -> None:
        for item in thing.objects:
            item.matrix_world = Matrix.Translation(place) @ thing.matrix
            item.pass_index = thing.label


def add_support(table: Table, rng, x: float, y: float) -> None:
    """A plate, a board or a flat napkin on which fruit may stand."""
    kind = rng.choice(["plate", "board", "napkin"])
    skin_colour = loud(rng) if rng.random() < 0.5 else rgb("#e9e4d8")
    if kind == "plate":
        r = rng.uniform(0.1, 0.13)
        under = [(0, 0.004), (0, 0.004), (r * 0.62, 0.004), (r * 0.72, 0.008), (r, 0.02)]
        rim = [*under, (r, 0.021), (r * 0.7, 0.012), (r * 0.62, 0.0075), (0, 0.0075)]
        thing = Thing([revolve(rim, plain(skin_colour, 0.15, coat=0.6), sides=160)], np.zeros((1, 3)))
        inside = r * 0.64
        height = 0.0075
        grid = block((2 * r, 2 * r, 0))
        radius = np.linalg.norm(grid[:, :2], axis=1)
        grid = grid[radius < r]
        flat = radius[radius < r] < inside
    else:
        if kind == "board":
            w = rng.uniform(0.2, 0.3)
            d = rng.uniform(0.15, 0.2)
            h = 0.018
            skin = wood(rgb("#8a5a2b"), rgb("#c49a5a"), plank=0.05)
        else:
            w = 0.24
            d = 0.17
            h = 0.003
            skin = rng.choice([fabric, lambda c: checked_cloth(c, rgb("#efe9dc"), size=0.02)])(skin_colour)
        thing = Thing([box((w, d, h), (0, 0, h / 2), skin, bevel=h * 0.3)], np.zeros((1, 3)))
        thing.matrix = Euler((0, 0, rng.uniform(-0.6, 0.6))).to_matrix().to_4x4()
        height = h
        grid = block((w, d, 0)) @ np.array(thing.matrix.to_3x3()).T
        flat = np.ones(len(grid), bool)
    cells = np.floor((grid[:, :2] + (x, y)) / CELL).astype(int)
    table.block(map(tuple, cells[~flat].tolist()))
    table.block(map(tuple, cells[flat].tolist()), height)
    table.move(thing, (x, y, 0))


def add_light(kind: str, rng, azimuth: float) -> None:
    """Light from one side; `azimuth` is where the camera looks from, so that the sun never stands behind it exactly."""

    def lamp(shape, energy, colour, place, size=0.3):
        data = bpy.data.lights.new("light", shape)
        data.energy = energy
        data.color = colour
        if shape == "SUN":
            data.angle = size
        elif shape == "AREA":
            data.shape = "RECTANGLE"
            data.size = size
            data.size_y = size * 1.3
        else:
            data.shadow_soft_size = size
        item = bpy.data.objects.new("light", data)
        item.location = place
        item.rotation_euler = (-Vector(place)).to_track_quat("-Z", "Y").to_euler()
        item.visible_camera = False
        bpy.context.collection.objects.link(item)

    side = azimuth + rng.choice([-1, 1]) * rng.uniform(0.6, 2.0)
    height = {"noon": rng.uniform(0.8, 1.15), "dapple": rng.uniform(0.6, 1.0), "evening": rng.uniform(0.3, 0.5)}.get(
        kind, rng.uniform(0.5, 1.0)
    )
    toward = Vector((cos(side) * cos(height), sin(side) * cos(height), sin(height)))
    sky = (0.75, 0.85, 1.0)
    strength = 0.35
    if kind in ("noon", "dapple", "evening"):
        colour = (1.0, 0.7, 0.42) if kind == "evening" else (1.0, 0.93, 0.82)
        lamp("SUN", 6.0, colour, toward * 3, radians(0.8))
        lamp("AREA", 14.0, sky, Vector((toward.x, toward.y, 0.5)).normalized() * 1.6, 0.8)
        add_gobo(kind, rng, toward)
    elif kind == "window":
        lamp("AREA", 60.0, (0.9, 0.95, 1.0), toward * 1.5, rng.uniform(0.4, 0.9))
        strength = rng.uniform(0.12, 0.3)
    elif kind == "overcast":
        lamp("AREA", 60.0, (0.95, 0.98, 1.0), Vector((toward.x * 0.5, toward.y * 0.5, 1.5)), 1.6)
        strength = 0.5
    else:
        lamp("POINT", 18.0, (1.0, 0.7, 0.45), toward * rng.uniform(0.7, 1.1), 0.06)
        sky = (0.5, 0.6, 1.0)
        strength = rng.uniform(0.03, 0.1)
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (*sky, 1)
    world.node_tree.nodes["Background"].inputs[1].default_value = strength


def add_gobo(kind: str, rng, toward: Vector) -> None:
    """What stands between sun and table: the bars of a window, or leaves."""
    frame = toward.to_track_quat("Z", "Y").to_matrix().to_4x4()
    spin = Matrix.Rotation(rng.normal(0, 0.15), 4, "Z")
    skin = plain((0.1, 0.1, 0.1))
    items = []
    if kind == "dapple":
        for x, y in rng.uniform(-0.5, 0.5, (70, 2)):
            size = (rng.uniform(0.03, 0.07), rng.uniform(0.02, 0.05), 0.001)
            items.append(box(size, (x, y, rng.uniform(0, 0.3)), skin, bevel=0))
    else:
        pane = rng.uniform(0.22, 0.4)
        shift = rng.uniform(-0.15, 0.15, 2)
        for k in range(-3, 4):
            items.append(box((0.035, 3, 0.02), ((k + 0.5) * pane + shift[0], 0, 0), skin, bevel=0))
            items.append(box((3, 0.03, 0.02), (0, (k + 0.5) * pane * 1.3 + shift[1], 0), skin, bevel=0))
    for item in items:
        item.matrix_world = Matrix.Translation(toward * 1.4) @ frame @ spin
        item.visible_camera = item.visible_diffuse = item.visible_glossy = False


def plan(index: int, salt: int, names: list[str]) -> str:
    """An even, shuffled choice from `names`: every name comes about equally often, over the test scenes too."""
    if index < FIRST_TEST:
        order = np.random.default_rng(salt).permutation(len(names) * (1 + (FIRST_TEST - 1) // len(names)))
        return names[order[index] % len(names)]
    order = np.random.default_rng(salt + FIRST_TEST).permutation(TEST_SCENES)
    return names[order[index - FIRST_TEST] % len(names)]


def picture_size(index: int) -> tuple[int, int]:
    """(height, width) of the upright picture of scene `index`."""
    return (1280, 960) if index in PORTRAIT else (1200, 1600) if index in LARGE else (960, 1280)


def build(index: int) -> None:
    """Makes scene `index` in Blender: table, wall, light, fruit, distractors, camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = np.random.default_rng(seed_of(index))
    mix = plan(index, 11, MIXES)
    azimuth = -pi / 2 + rng.normal(0, 0.25)
    heights = [rng.uniform(13, 25), rng.uniform(25, 42), rng.uniform(42, 65)]
    elevation = radians(rng.choice(heights, p=[0.35, 0.45, 0.2]))
    count = int(np.clip(rng.integers(len(mix), 6) + (rng.random() < 0.25) * 2, len(mix), 7))
    banana_share = mix.count("B") / len(mix)
    frame = rng.uniform(0.2, 0.27) + 0.016 * count + 0.05 * banana_share  # metres that the picture is wide
    right = np.array([-sin(azimuth), cos(azimuth)])
    forward = -np.array([cos(azimuth), sin(azimuth)])

    top = box((2.4, 1.9, 0.04), (0, 0, 0), table_material(plan(index, 22, TABLES), rng), bevel=0.004)
    back = rng.uniform(0.22, 0.6)
    top.matrix_world = Matrix.Translation((rng.normal(0, 0.3), back - 0.95, -0.02))
    wall = box((6, 4, 0.02), (0, 0, -0.01), wall_material(plan(index, 33, WALLS), rng), bevel=0)
    gap = rng.choice([0.0, rng.uniform(0.1, 0.6)])
    wall.matrix_world = Matrix.Translation((0, back + gap, 0)) @ Matrix.Rotation(pi / 2, 4, "X")

    table = Table()
    if rng.random() < 0.3:
        add_support(table, rng, *(right * rng.normal(0, 0.04) + forward * 0.02))
    makers = {"A": apple, "L": lemon, "B": bananas}
    depth = 0.75 / max(0.45, sin(elevation)) ** 0.5
    order = list(mix) + list(rng.choice(list(mix), count - len(mix)))

    def near_the_middle() -> tuple[float, float]:
        return rng.normal(0, 0.24) * frame, rng.normal(0, 0.2) * frame * depth

    def behind() -> tuple[float, float]:
        return rng.uniform(-0.6, 0.6) * frame, rng.uniform(0.2, 0.95) * frame

    def anywhere() -> tuple[float, float]:
        return rng.uniform(-0.5, 0.5) * frame, rng.uniform(-0.35, 0.6) * frame

    scatter(table, rng, [makers[k] for k in order], near_the_middle, right=right, forward=forward)
    scatter(table, rng, draw_some(rng, TALL), behind, right=right, forward=forward)
    scatter(table, rng, draw_some(rng, SMALL), anywhere, right=right, forward=forward)

    add_light(plan(index, 44, LIGHTS), rng, azimuth)
    add_camera(rng, index, azimuth, elevation, frame)


def draw_some(rng, shares) -> list:
    """One to three makers, drawn by their shares."""
    makers, weights = zip(*shares, strict=True)
    return [makers[k] for k in rng.choice(len(makers), rng.integers(1, 4), p=weights)]


def scatter(table: Table, rng, makers, draw, *, right, forward) -> None:
    """Puts one thing of each maker where `draw` says, in camera-aligned metres, until it finds room."""
    for make in makers:
        thing = make(rng)
        for _ in range(80):
            x, y = draw()
            if table.put(thing, *(right * x + forward * y)):
                break
        else:
            for item in thing.objects:
                bpy.data.objects.remove(item)


def add_camera(rng, index: int, azimuth: float, elevation: float, frame: float) -> None:
    height, width = picture_size(index)
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = 36.0
    data.lens = rng.uniform(30, 65)
    distance = frame * data.lens / 36
    fruit = [np.array(item.matrix_world.translation) for item in bpy.data.objects if item.pass_index]
    centre = np.mean(fruit, axis=0) * 0.7
    target = Vector((*(centre[:2] + rng.normal(0, 0.02, 2)), 0.03))
    toward = Vector((cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)))
    camera = bpy.data.objects.new("camera", data)
    camera.location = target + toward * distance
    camera.rotation_euler = toward.to_track_quat("Z", "Y").to_euler()
    camera.rotation_euler.rotate_axis("Z", rng.normal(0, 0.035))
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    sharp = fruit[rng.integers(len(fruit))]
    data.dof.use_dof = True
    data.dof.focus_distance = max(0.12, float((camera.location - Vector(sharp)).dot(toward)) - 0.025)
    data.dof.aperture_fstop = float(rng.choice([3.5, 4.5, 5.6, 8.0, 11.0]))


# ---------------------------------------------------------------------------------------------- the pictures


def render(path: Path, size: tuple[int, int], samples: int, *, raw: bool, kind: str = "PNG") -> None:
    """Renders the scene to `path`, `size` (height, width). `raw`: numbers as they are, no filter, no denoiser."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_y, scene.render.resolution_x = size
    scene.render.filepath = str(path)
    scene.render.image_settings.file_format = kind
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.compression = 5
    scene.view_settings.view_transform = "Raw" if raw else "AgX"
    scene.view_settings.look = "None" if raw else "AgX - Medium High Contrast"
    cycles = scene.cycles
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    cycles.max_bounces = 2
    cycles.diffuse_bounces = 2
    cycles.glossy_bounces = 1
    cycles.transmission_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    cycles.blur_glossy = 0.6
    cycles.seed = 1
    cycles.use_auto_tile = False
    cycles.use_denoising = not raw
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    cycles.filter_width = 0.01 if raw else 1.5
    bpy.ops.render.render(write_still=True)


def expose(folder: Path, size: tuple[int, int]) -> None:
    """Sets the exposure as a camera does: by metering a very small picture."""
    path = folder / "meter.exr"
    render(path, (size[0] // 12, size[1] // 12), 6, raw=False, kind="OPEN_EXR")
    image = bpy.data.images.load(str(path))
    light = np.array(image.pixels[:]).reshape(-1, 4)[:, :3] @ (0.2126, 0.7152, 0.0722)
    level = np.exp(np.log(np.clip(light, 1e-4, None)).mean()) * 0.6 + np.percentile(light, 90) * 0.2
    bpy.context.scene.view_settings.exposure = float(np.log2(0.25 / level))


def photograph(folder: Path, size: tuple[int, int], samples: int, seed: int) -> Image.Image:
    """The upright photograph, with the noise of a sensor and the dark corners of a lens."""
    expose(folder, size)
    render(folder / "photo.png", size, samples, raw=False)
    picture = np.asarray(Image.open(folder / "photo.png").convert("RGB"), np.float32)
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    picture = picture * (1 - rng.uniform(0.0, 0.12) * (x**2 + y**2) / 2)[..., None]
    picture += rng.normal(0, rng.uniform(0.6, 1.6), picture.shape[:2])[..., None] + rng.normal(0, 0.5, picture.shape)
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8))


def frame_fruit(scene, size: tuple[int, int]) -> None:
    """Limits the next render to the rectangle that holds the fruit: all outside it is background in any case."""
    camera = scene.camera
    ends = []
    focal = camera.data.lens / camera.data.sensor_width
    for item in (item for item in bpy.data.objects if item.pass_index):
        seen = np.array(camera.matrix_world.inverted() @ item.matrix_world)
        x, y, z = (vertices(item) @ seen[:3, :3].T + seen[:3, 3]).T
        if z.max() > -0.01:  # fruit beside the lens: its projection has no rectangle
            return
        flat = np.stack([0.5 - focal * x / z, 0.5 - focal * y / z * size[1] / size[0]])
        ends += [flat.min(1), flat.max(1)]
    low = np.clip(np.min(ends, 0) - 0.01, 0, 1)
    high = np.clip(np.max(ends, 0) + 0.01, 0, 1)
    scene.render.use_border = True
    scene.render.border_min_x, scene.render.border_min_y = low.tolist()
    scene.render.border_max_x, scene.render.border_max_y = high.tolist()


def labels(folder: Path, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """(mask, class mask) of the scene: replaces every material by a flat colour. Spoils the scene for photographs."""
    flat = []
    for label in range(4):
        s = Shader()
        glow = s.add("Emission", {"Color": (label * 80 / 255,) * 3, "Strength": 1.0})
        s.tree.links.new(glow.outputs[0], s.add("OutputMaterial", {}).inputs[0])
        flat.append(s.material)
    for item in bpy.data.objects:
        if item.type == "MESH":
            item.data.materials.clear()
            item.data.materials.append(flat[item.pass_index])
        elif item.type == "LIGHT":
            item.hide_render = True
    scene = bpy.context.scene
    scene.camera.data.dof.use_dof = False
    scene.view_settings.exposure = 0
    scene.world.node_tree.nodes["Background"].inputs[1].default_value = 0
    frame_fruit(scene, size)
    render(folder / "labels.bmp", (3 * size[0], 3 * size[1]), 1, raw=True, kind="BMP")
    value = np.asarray(Image.open(folder / "labels.bmp").convert("RGB"))[..., 1]
    label = np.round(value / 80.0).astype(np.uint8)
    if np.abs(value - label * 80.0).max() > 2:
        raise RuntimeError("the label pass holds a colour that is no label")
    fine = label.reshape(size[0], 3, size[1], 3).transpose(0, 2, 1, 3).reshape(*size, 9)
    middle = fine[..., 4]
    classes = np.where((fine == middle[..., None]).all(-1), middle, 255).astype(np.uint8)
    return Image.fromarray(np.where(middle > 0, 255, 0).astype(np.uint8)), Image.fromarray(classes)


def save(picture: Image.Image, path: Path, **options) -> None:
    """Writes beside `path` first, so that `path` exists only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    picture.save(partial, **options)
    os.replace(partial, path)


def make_scene(index: int, out: Path, size: tuple[int, int], samples: int, only: str) -> None:
    """Makes what is missing of scene `index`."""
    name = f"fruit_{index:03d}"
    out = out / "test" if index >= FIRST_TEST else out
    photo = out / "images" / f"{name}.jpg"
    mask = out / "masks" / f"{name}.png"
    classes = out / "class_masks" / f"{name}.png"
    want_photo = only != "masks" and not photo.exists()
    want_masks = only != "images" and not (mask.exists() and classes.exists())
    if not (want_photo or want_masks):
        return
    start = time.perf_counter()
    build(index)
    with tempfile.TemporaryDirectory() as folder:
        if want_photo:
            picture = photograph(Path(folder), size, samples, seed_of(index))
            exif = Image.Exif()
            if index in PORTRAIT:  # stored lying on its side, as a phone does
                turn = Image.Transpose.ROTATE_90 if PORTRAIT[index] == 6 else Image.Transpose.ROTATE_270
                picture = picture.transpose(turn)
                exif[0x0112] = PORTRAIT[index]
            save(picture, photo, quality=92, exif=exif)
        if want_masks:
            binary, labelled = labels(Path(folder), size)
            save(binary, mask, optimize=True)
            save(labelled, classes, optimize=True)
    print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", default="0-63", help="a range such as 0-63, or a list such as 3,7,11")
    parser.add_argument("--size", help="such as 320x240 (width x height), to look at; default: each scene's own")
    parser.add_argument("--samples", type=int, default=1, help="paths a pixel")
    parser.add_argument("--only", choices=["all", "masks", "images"], default="all")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[2] / "data_samples")
    options = parser.parse_args()
    scenes = []
    for part in options.scenes.split(","):
        first, _, last = part.partition("-")
        scenes += range(int(first), int(last or first) + 1)
    for index in scenes:
        size = picture_size(index)
        if options.size:
            width, height = sorted(map(int, options.size.split("x")), reverse=index not in PORTRAIT)
            size = (height, width)
        make_scene(index, options.out, size, options.samples, options.only)


if __name__ == "__main__":
    main()
