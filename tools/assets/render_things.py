"""The things in the scenes of render_samples.py: materials, shapes, three kinds of fruit, and what is no fruit.

Every maker takes a NumPy generator and returns a `Thing`. All lengths are metres, all colours linear red, green, blue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi

import bpy
import numpy as np
from mathutils import Euler, Matrix

APPLE = 1  # the values in class_masks/
LEMON = 2
BANANA = 3
NOTHING = 0

REDS = ["#9c1420", "#b3202a", "#c0392b", "#7d1020"]
GREENS = ["#8fae2c", "#6f9a2a", "#a9c23f", "#4f7d2c"]
YELLOWS = ["#e9b90f", "#f0c419", "#dca810", "#e8cf4a"]
FRUIT_COLOURS = REDS + GREENS + YELLOWS
OTHER_COLOURS = ["#e9e4d8", "#2d4b73", "#5f7f8c", "#3a3a3c", "#d8d2c4", "#7b5a86", "#c96f2d"]


def rgb(code: str) -> tuple[float, float, float]:
    """A hex colour such as "#e9b90f" as linear red, green, blue in [0, 1]."""
    value = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return tuple(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def shade(colour: tuple, factor: float) -> tuple:
    """The linear colour `colour`, lighter (factor > 1) or darker."""
    return tuple(min(1.0, c * factor) for c in colour)


# ---------------------------------------------------------------------------------------------- materials


class Shader:
    """One material under construction: a thin, typed way to write node graphs as expressions."""

    def __init__(self) -> None:
        self.material = bpy.data.materials.new("material")
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()

    def add(self, kind: str, inputs: dict, **properties) -> bpy.types.Node:
        node = self.tree.nodes.new("ShaderNode" + kind)
        for key, value in properties.items():
            setattr(node, key, value)
        for key, value in inputs.items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            elif node.inputs[key].type == "RGBA" and len(value) == 3:
                node.inputs[key].default_value = (*value, 1.0)
            else:
                node.inputs[key].default_value = value
        return node

    def coords(self, scale=(1, 1, 1)):
        place = self.add("TexCoord", {}).outputs["Object"]
        return self.add("VectorMath", {0: place, 1: scale}, operation="MULTIPLY").outputs[0]

    def noise(self, scale: float, vector=None, *, detail: float = 4.0, distortion: float = 0.0):
        inputs = {"Vector": vector or self.coords(), "Scale": scale, "Detail": detail, "Distortion": distortion}
        return self.add("TexNoise", inputs).outputs[0]

    def spots(self, scale: float, low: float, high: float):
        """1 inside round spots on a cell grid of `scale` per metre, 0 outside."""
        cells = self.add("TexVoronoi", {"Vector": self.coords(), "Scale": scale})
        return self.ramp(cells.outputs["Distance"], high, low)

    def ramp(self, value, low: float, high: float):
        inputs = {"Value": value, "From Min": low, "From Max": high}
        return self.add("MapRange", inputs, interpolation_type="SMOOTHSTEP").outputs[0]

    def math(self, operation: str, a, b):
        return self.add("Math", {0: a, 1: b}, operation=operation).outputs[0]

    def mix(self, factor, a, b, blend: str = "MIX"):
        return self.add("MixRGB", {0: factor, 1: a, 2: b}, blend_type=blend).outputs[0]

    def painted(self):
        """The colour stored in the vertices of the mesh."""
        return self.add("VertexColor", {}, layer_name="colour").outputs[0]

    def brick(self, vector, *, width: float, height: float, mortar: float, offset: float = 0.5):
        """(random grey of each brick, 1 on the mortar and 0 on the brick)"""
        inputs = {"Vector": vector, "Scale": 1.0, "Brick Width": width, "Row Height": height, "Mortar Size": mortar}
        inputs |= {"Color1": (0, 0, 0), "Color2": (1, 1, 1), "Mortar": (0.5, 0.5, 0.5), "Mortar Smooth": 0.2}
        node = self.add("TexBrick", inputs, offset=offset)
        return node.outputs[0], node.outputs[1]

    def finish(self, colour, roughness=0.5, *, bump=None, depth=0.001, coat=0.0, sheen=0.0, specular=0.5):
        inputs = {"Base Color": colour, "Roughness": roughness, "Coat Weight": coat, "Sheen Weight": sheen}
        inputs |= {"Specular IOR Level": specular, "Coat Roughness": 0.12}
        if bump is not None:
            node = self.add("Bump", {"Height": bump, "Distance": depth, "Strength": 1.0})
            inputs["Normal"] = node.outputs[0]
        surface = self.add("BsdfPrincipled", inputs).outputs[0]
        self.tree.links.new(surface, self.add("OutputMaterial", {}).inputs[0])
        return self.material


def plain(colour, roughness=0.5, *, coat=0.0, grain=0.0) -> bpy.types.Material:
    """Paint, ceramic or plastic: one colour, with faint unevenness so that it is not computer-clean."""
    s = Shader()
    worn = s.mix(s.ramp(s.noise(9.0), 0.35, 0.7), shade(colour, 0.9), shade(colour, 1.08))
    return s.finish(worn, roughness, bump=s.noise(400.0) if grain else None, depth=grain, coat=coat)


def vertex_painted(roughness=0.4, *, coat=0.0, bump_scale=0.0, depth=0.0, sheen=0.0) -> bpy.types.Material:
    s = Shader()
    return s.finish(
        s.painted(), roughness, bump=s.noise(bump_scale) if bump_scale else None, depth=depth, coat=coat, sheen=sheen
    )


def wood(dark, light, *, plank=0.13, gloss=0.45) -> bpy.types.Material:
    """Planks along x: grain is noise drawn out along the plank, shifted and tinted from plank to plank."""
    s = Shader()
    moved = s.add("VectorMath", {0: s.coords(), 1: (0.37, plank / 2, 0)}, operation="ADD").outputs[0]
    tint, gap = s.brick(moved, width=1.7, height=plank, mortar=0.0012)
    shifted = s.add("VectorMath", {0: s.coords((2.2, 34, 34)), 1: s.mix(1.0, tint, (9, 31, 17), "MULTIPLY")})
    grain = s.noise(1.0, shifted.outputs[0], detail=6.0, distortion=0.9)
    fine = s.noise(1.0, s.coords((14, 420, 60)), detail=3.0)
    colour = s.mix(s.ramp(grain, 0.32, 0.68), dark, light)
    colour = s.mix(s.ramp(fine, 0.5, 0.75), colour, shade(dark, 0.75))
    colour = s.mix(0.35, colour, s.mix(tint, (0.35, 0.33, 0.3), (1, 1, 1)), "MULTIPLY")
    colour = s.mix(gap, colour, shade(dark, 0.15))
    height = s.math("SUBTRACT", s.math("MULTIPLY", fine, 0.3), gap)
    return s.finish(
        colour, s.add("MapRange", {0: grain, 3: gloss - 0.1, 4: gloss + 0.15}).outputs[0], bump=height, depth=0.0007
    )


def marble(base, vein) -> bpy.types.Material:
    s = Shader()
    lines = s.math("ABSOLUTE", s.math("SUBTRACT", s.noise(5.0, None, detail=7.0, distortion=1.6), 0.5), 0.0)
    colour = s.mix(s.ramp(s.noise(3.0), 0.3, 0.7), base, shade(base, 0.82))
    return s.finish(
        s.mix(s.math("MULTIPLY", s.ramp(lines, 0.045, 0.0), 0.6), colour, vein), 0.16, bump=None, depth=0, coat=0.3
    )


def checked_cloth(colour, ground, *, size=0.045, thread=1500.0) -> bpy.types.Material:
    """Gingham: stripes both ways; where two stripes cross the colour is full, where one runs it is half."""
    s = Shader()
    axes = s.add("SeparateXYZ", {0: s.coords((1 / size,) * 3)})
    stripes = [s.math("GREATER_THAN", s.math("PINGPONG", axes.outputs[i], 1.0), 0.5) for i in (0, 1)]
    amount = s.math("MULTIPLY", s.math("ADD", *stripes), 0.5)
    weave = s.noise(1.0, s.coords((thread, thread / 6, thread)), detail=1.0)
    cloth = s.mix(s.math("MULTIPLY", weave, 0.5), s.mix(amount, ground, colour), shade(colour, 0.6))
    return s.finish(cloth, 0.9, bump=s.math("ADD", weave, s.noise(45.0)), depth=0.0012, coat=0, sheen=0.4, specular=0.2)


def fabric(colour) -> bpy.types.Material:
    s = Shader()
    weave = s.math("ADD", s.noise(1.0, s.coords((260, 1500, 1))), s.noise(1.0, s.coords((1500, 260, 1))))
    folds = s.math("MULTIPLY", s.noise(14.0, None, detail=3.0), 4.0)
    cloth = s.mix(s.ramp(weave, 0.7, 1.3), shade(colour, 0.72), shade(colour, 1.12))
    return s.finish(cloth, 0.92, bump=s.math("ADD", weave, folds), depth=0.0015, coat=0, sheen=0.4, specular=0.2)


def tiles(colour, mortar, *, width, height, gap, offset, rough, vary=0.35, pits=0.0) -> bpy.types.Material:
    """Tiles, bricks, boards: laid in rows, tinted one by one, with sunken joints."""
    s = Shader()
    tint, joint = s.brick(s.coords(), width=width, height=height, mortar=gap, offset=offset)
    colour = s.mix(tint, shade(colour, 1 - vary), shade(colour, 1 + vary))
    colour = s.mix(s.ramp(s.noise(30.0), 0.35, 0.75), colour, s.mix(0.4, colour, shade(mortar, 0.7)))
    height_map = s.math("SUBTRACT", s.math("MULTIPLY", s.noise(90.0), pits), joint)
    wobble = s.mix(joint, (rough,) * 3, (0.9,) * 3)
    return s.finish(s.mix(joint, colour, mortar), wobble, bump=height_map, depth=0.003)


def plaster(colour) -> bpy.types.Material:
    s = Shader()
    stain = s.mix(s.ramp(s.noise(3.0, None, detail=5.0), 0.3, 0.75), shade(colour, 0.86), shade(colour, 1.06))
    rough = s.math("ADD", s.noise(35.0, None, detail=6.0), s.math("MULTIPLY", s.noise(6.0), 2.0))
    return s.finish(stain, 0.9, bump=rough, depth=0.006)


def pick(rng: np.random.Generator, *codes: str) -> tuple[float, float, float]:
    """One of the hex colours, as linear red, green, blue."""
    return rgb(codes[rng.integers(len(codes))])


def table_material(kind: str, rng: np.random.Generator) -> bpy.types.Material:
    match kind:
        case "pine":
            return wood(pick(rng, "#a8702f", "#b07f3a"), pick(rng, "#dcae62", "#d9b070"))
        case "cherry":
            return wood(pick(rng, "#5e2d1a", "#6a3520"), pick(rng, "#a5623f", "#9c5833"), plank=0.16, gloss=0.32)
        case "walnut":
            return wood(pick(rng, "#2c1a10", "#3a2617"), pick(rng, "#6b4a30", "#7a5a3c"), plank=0.15, gloss=0.38)
        case "marble":
            return marble(pick(rng, "#e6e2da", "#d9d6cf", "#3c4a42"), pick(rng, "#6d6a68", "#9a8b6a"))
        case "painted":
            return wood(*(shade(pick(rng, "#5f8f6a", "#c9a227", "#7fa3ab", "#a83a2e", "#dcd8cc"), k) for k in (0.8, 1)))
        case "check":
            colour = pick(rng, "#b3202a", "#d9a514", "#4f7d2c", "#2d5b8c")
            return checked_cloth(colour, rgb("#f0ebe0"), size=rng.uniform(0.03, 0.06))
        case "linen":
            return fabric(pick(rng, "#d8b23a", "#c9b48a", "#94b04a", "#b5472f", "#cfc8ba"))
    return tiles(
        pick(rng, "#b5603a", "#a8552f"),
        rgb("#cbbba0"),
        width=0.16,
        height=0.16,
        gap=0.006,
        offset=0.0,
        rough=0.55,
        vary=0.22,
        pits=0.3,
    )


def wall_material(kind: str, rng: np.random.Generator) -> bpy.types.Material:
    match kind:
        case "tile":
            colour = pick(rng, "#e8e6df", "#7d9c4a", "#d8b23a", "#4f7f86", "#c8d0cf")
            return tiles(colour, rgb("#b8b4aa"), width=0.15, height=0.075, gap=0.004, offset=0.5, rough=0.15, vary=0.12)
        case "brick":
            return tiles(
                pick(rng, "#8c3f2a", "#9a4a32", "#d9d2c6"),
                rgb("#b0a596"),
                width=0.22,
                height=0.07,
                gap=0.012,
                offset=0.5,
                rough=0.9,
                vary=0.35,
                pits=1.2,
            )
        case "boards":
            return wood(*((rgb("#8a5a2b"), rgb("#b8864a")) if rng.random() < 0.5 else (rgb("#9aa79a"), rgb("#b9c2b4"))))
        case "paint":
            return plain(
                pick(rng, "#c8452f", "#8fa84a", "#e2bd4e", "#3f6673", "#d9a98c", "#59684a"), 0.7, coat=0, grain=0.0008
            )
    return plaster(pick(rng, "#e4dccb", "#d8c08a", "#c9cbb8", "#b98e6a"))


# ---------------------------------------------------------------------------------------------- shapes


@dataclass
class Thing:
    """Something to put on the table: its objects, the points that keep others away, and its class."""

    objects: list
    points: np.ndarray  # (N, 3) metres, local
    label: int = NOTHING
    matrix: Matrix = field(default_factory=Matrix)


def surface(points: np.ndarray, material, *, colours=None, wrap=True) -> bpy.types.Object:
    """A smooth object from a (U, V, 3) grid of points, closed along V if `wrap`; `colours` is (U, V, 3), linear."""
    u, v = points.shape[:2]
    index = np.arange(u * v).reshape(u, v)
    right = np.roll(index, -1, 1) if wrap else index[:, 1:]
    left = index if wrap else index[:, :-1]
    faces = np.stack([left[:-1], right[:-1], right[1:], left[1:]], -1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata(points.reshape(-1, 3).tolist(), [], faces.tolist())
    if colours is not None:
        layer = mesh.color_attributes.new("colour", "FLOAT_COLOR", "POINT")
        rgba = np.concatenate([np.broadcast_to(colours, points.shape), np.ones((u, v, 1))], -1)
        layer.data.foreach_set("color", rgba.astype(np.float32).ravel())
    mesh.shade_smooth()
    mesh.materials.append(material)
    item = bpy.data.objects.new("object", mesh)
    bpy.context.collection.objects.link(item)
    return item


def revolve(profile, material, *, sides=96, colours=None) -> bpy.types.Object:
    """A pot: `profile` is [(radius, height), ...], turned about z; corners are rounded by resampling."""
    profile = np.array(profile, float)
    for _ in range(3):  # Chaikin's corner cutting
        cut = np.stack([0.8 * profile[:-1] + 0.2 * profile[1:], 0.2 * profile[:-1] + 0.8 * profile[1:]], 1)
        cut = cut.reshape(-1, 2)
        profile = np.concatenate([profile[:1], cut, profile[-1:]])
    angle = np.linspace(0, 2 * pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    points = np.concatenate([profile[:, None, :1] * ring[None], np.repeat(profile[:, None, 1:], sides, 1)], -1)
    return surface(points, material, colours=colours)


def tube(path: np.ndarray, radius: np.ndarray, material, *, sides=20, colours=None, section=None) -> bpy.types.Object:
    """A tube along `path` (N, 3) with `radius` (N,); `section` (sides,) shapes the cross-section."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    up = np.array([0, 0, 1.0]) if np.abs(tangent[:, 2]).max() < 0.9 else np.array([0, 1.0, 0])
    side = np.cross(up, tangent)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    over = np.cross(tangent, side)
    angle = np.linspace(0, 2 * pi, sides, endpoint=False)
    reach = radius[:, None] * (np.ones(sides) if section is None else section)
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * over[:, None]
    return surface(path[:, None] + reach[..., None] * ring, material, colours=colours)


def box(size, centre, material, *, bevel=0.002) -> bpy.types.Object:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2 * size + centre
    mesh = bpy.data.meshes.new("mesh")
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners.tolist(), [], faces)
    mesh.materials.append(material)
    item = bpy.data.objects.new("object", mesh)
    bpy.context.collection.objects.link(item)
    if bevel:
        modifier = item.modifiers.new("bevel", "BEVEL")
        modifier.width = bevel
        modifier.segments = 2
    return item


def vertices(*objects) -> np.ndarray:
    clouds = []
    for item in objects:
        cloud = np.empty(len(item.data.vertices) * 3, np.float32)
        item.data.vertices.foreach_get("co", cloud)
        clouds.append(cloud.reshape(-1, 3))
    return np.concatenate(clouds)


def block(size, centre=(0, 0, 0)) -> np.ndarray:
    """A grid of points that fills the outline of a box, for the collision test."""
    axes = [np.linspace(-s / 2, s / 2, max(2, int(s / 0.006))) for s in size[:2]]
    flat = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    return np.concatenate([np.c_[flat, np.full(len(flat), z)] for z in (-size[2] / 2, size[2] / 2)]) + centre


def waves(rng, points: np.ndarray, frequency: float, count=14) -> np.ndarray:
    """A smooth random field at `points` (..., 3), mean 0, about unit variance."""
    directions = rng.normal(size=(count, 3)) * frequency
    return np.cos(points @ directions.T + rng.uniform(0, 2 * pi, count)).sum(-1) * (2 / count) ** 0.5


def blend(a, b, amount: np.ndarray) -> np.ndarray:
    return np.asarray(a) * (1 - amount[..., None]) + np.asarray(b) * amount[..., None]


def smoothstep(x, low, high):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def sphere_grid(rows: int, sides: int):
    down = np.linspace(0.001, pi - 0.001, rows)
    around = np.linspace(0, 2 * pi, sides, endpoint=False)
    theta, phi = np.meshgrid(down, around, indexing="ij")
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return theta, phi, unit


# ---------------------------------------------------------------------------------------------- fruit


def apple(rng: np.random.Generator) -> Thing:
    """Dimpled at both ends, five-lobed below; a blush broken into streaks along the meridians; pale specks; a stem."""
    theta, phi, unit = sphere_grid(110, 300)
    size = rng.uniform(0.036, 0.044)
    flat = rng.uniform(0.82, 0.98)
    low = np.clip(-np.cos(theta), 0, 1)
    reach = np.sin(theta) * (1 + 0.07 * np.cos(theta)) * (1 + 0.035 * np.cos(5 * phi) * low**2)
    height = flat * np.cos(theta) - rng.uniform(0.3, 0.42) * np.exp(-((np.sin(theta) / 0.3) ** 2)) * (theta < pi / 2)
    height += (0.2 + 0.05 * np.cos(5 * phi)) * np.exp(-((np.sin(theta) / 0.27) ** 2)) * (theta > pi / 2)
    points = np.stack([reach * np.cos(phi), reach * np.sin(phi), height], -1)
    points *= size * (1 + 0.022 * waves(rng, unit, 1.3))[..., None]

    kind = rng.choice(["red", "green", "yellow", "two", "two"])
    grounds = {"red": ["#c9a13a", "#b58a35"], "green": ["#9bb53a", "#86a832", "#b3c45a"]}
    ground = rgb(rng.choice(grounds.get(kind, ["#d9bc4a", "#c9c04e"])))
    blush = rgb(rng.choice({"green": ["#a39b3c", "#b5a648"], "yellow": ["#d08a3c", "#cf6b3a"]}.get(kind, REDS)))
    cover = {"red": 2.0, "green": -0.9, "yellow": -0.7, "two": rng.uniform(-0.2, 0.5)}[kind]
    waving = [np.cos(k * phi + rng.uniform(0, 6.3) + rng.normal(0, 1.2) * theta) for k in rng.integers(7, 75, 22)]
    streaks = sum(waving) / 3.3
    facing = unit @ (lambda d: d / np.linalg.norm(d))(rng.normal(size=3) * (1, 1, 0.5))
    amount = smoothstep(cover + 1.1 * facing + 0.25 * streaks + 0.35 * waves(rng, unit, 2.2), -0.5, 0.7)
    colour = blend(ground, blush, amount)
    colour *= (1 - 0.16 * amount * smoothstep(streaks, 0.0, 1.6) + 0.05 * waves(rng, unit, 3))[..., None]
    top = np.exp(-((np.sin(theta) / 0.3) ** 2)) * (theta < pi / 2)
    colour = blend(colour, rgb("#8d8336"), 0.75 * top)
    colour = blend(colour, rgb("#3a2a18"), np.exp(-((np.sin(theta) / 0.1) ** 2)) * (theta > pi / 2))

    s = Shader()
    specks = s.math("MULTIPLY", s.spots(210.0, 0.1, 0.24), rng.uniform(0.25, 0.6))
    speckled = s.mix(specks, s.painted(), rgb("#dcc98a"))
    gloss = rng.uniform(0.28, 0.42)
    skin = s.finish(speckled, gloss, bump=s.noise(60.0), depth=0.0004, coat=rng.uniform(0.1, 0.45))
    body = surface(points, skin, colours=np.clip(colour, 0, 1))
    t = np.linspace(0, 1, 12)[:, None]
    bend = rng.normal(size=2) * 0.008
    base = points[0, 0, 2]
    path = np.concatenate([bend * t**2, base + t * (points[..., 2].max() - base + rng.uniform(0.004, 0.014))], 1)
    stem = tube(path, 0.0013 + 0.0009 * np.abs(t[:, 0] - 0.4), plain(rgb("#4a3420"), 0.8), sides=10)
    tilt = rng.normal(0, 0.2) if rng.random() < 0.65 else rng.uniform(0.9, 2.2)
    return Thing([body, stem], vertices(body), APPLE, Euler((tilt, 0, rng.uniform(0, 6.3))).to_matrix().to_4x4())


def lemon(rng: np.random.Generator) -> Thing:
    """An ellipsoid drawn out to a nipple, lying on its side; pitted skin; greenish where unripe."""
    theta, phi, unit = sphere_grid(90, 140)
    radius = rng.uniform(0.026, 0.031)
    length = rng.uniform(1.15, 1.35)
    drawn = np.where(theta < pi / 2, rng.uniform(0.25, 0.36), -rng.uniform(0.08, 0.2))
    tip = drawn * np.exp(-((np.sin(theta) / 0.27) ** 2))
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), length * np.cos(theta) + tip], -1)
    points *= radius * (1 + 0.025 * waves(rng, unit, 1.6))[..., None]
    green = rng.choice([0.0, 0.1, 0.35, 0.9], p=[0.4, 0.25, 0.2, 0.15])
    ripe = smoothstep(np.abs(np.cos(theta)) * 0.8 + 0.45 * waves(rng, unit, 1.7) + green, 0.6, 1.7)
    yellow = rgb(rng.choice(["#efc11a", "#f2cc2e", "#e6b412"]))
    colour = blend(yellow, rgb("#8ea52e"), ripe * (0.35 + 0.65 * (green > 0)))
    colour = blend(colour, rgb("#6b5a2a"), np.exp(-((np.sin(theta) / 0.09) ** 2)) * (theta > pi / 2))
    s = Shader()
    cells = s.add("TexVoronoi", {"Vector": s.coords(), "Scale": 420.0}, feature="SMOOTH_F1").outputs["Distance"]
    pits = s.ramp(cells, 0.0, 0.5)
    depth = rng.uniform(0.00015, 0.0003)
    skin = s.mix(s.ramp(cells, 0.25, 0.0), s.painted(), s.mix(0.35, s.painted(), rgb("#b98a10")))
    peel = s.finish(skin, rng.uniform(0.33, 0.45), bump=s.math("ADD", pits, s.noise(90.0)), depth=depth, coat=0.2)
    body = surface(points, peel, colours=np.clip(colour, 0, 1))
    turn = Euler((pi / 2 + rng.normal(0, 0.12), 0, 0)).to_matrix()
    return Thing([body], vertices(body), LEMON, (Euler((0, 0, rng.uniform(0, 6.3))).to_matrix() @ turn).to_4x4())


def banana_part(rng, ripeness: float, bend: float, length: float, girth: float) -> bpy.types.Object:
    """One banana: a bent, five-sided tube with a neck, a dark tip, ridges, and brown spots where ripe."""
    s = np.linspace(0, 1, 120)
    angle = bend * (s + 0.25 * np.exp(-((s / 0.2) ** 2)) - 0.25)
    step = length / 119
    path = np.stack([np.cumsum(np.cos(angle)) * step, np.cumsum(np.sin(angle)) * step, 0 * s], -1)
    body = smoothstep(s, 0.1, 0.33) * (1 - 0.72 * smoothstep(s, 0.78, 0.975))
    radius = girth * (0.3 + 0.7 * body) * (1 - smoothstep(s, 0.985, 1.0)) * smoothstep(s, -0.006, 0.003)
    radius[s > 0.97] *= 0.85
    psi = np.linspace(0, 2 * pi, 60, endpoint=False)
    section = 1 + 0.045 * np.cos(5 * psi) + 0.012 * np.cos(10 * psi)
    unit = np.stack(np.broadcast_arrays(3 * s[:, None], np.cos(psi), np.sin(psi)), -1)
    yellow = rgb(rng.choice(["#e8bb1c", "#edc531", "#e0ad14"]))
    green = rgb("#8ba32c")
    ends = np.abs(2 * s[:, None] - 1) ** 3 + 0.25 * waves(rng, unit, 1.2)
    colour = blend(yellow, green, np.clip(smoothstep(ends + 1.3 * (0.4 - ripeness), 0.45, 1.3), 0, 1))
    colour = colour * (1 - 0.13 * smoothstep(np.cos(5 * psi), 0.75, 1.0))[None, :, None]
    dark = smoothstep(s, 0.955, 0.975) + smoothstep(s, 0.035, 0.015)
    colour = blend(colour, rgb("#2e2012"), np.broadcast_to(dark[:, None], colour.shape[:2]) * 0.9)
    m = Shader()
    brown = m.ramp(m.noise(170.0, m.coords((0.5, 1, 1)), detail=3.0), 0.78 - 0.2 * ripeness, 0.83 - 0.2 * ripeness)
    bruise = m.ramp(m.noise(28.0, None, detail=5.0), 0.66, 0.78)
    skin = m.mix(m.math("MULTIPLY", m.math("MAXIMUM", brown, bruise), 0.75), m.painted(), rgb("#4f3115"))
    peel = m.finish(skin, rng.uniform(0.38, 0.5), bump=m.noise(70.0), depth=0.0005, coat=0.08)
    return tube(path, radius, peel, sides=60, colours=np.clip(colour, 0, 1), section=section)


def bananas(rng: np.random.Generator) -> Thing:
    """One banana, or a hand of two to four that share their stem end; lying flat or standing like a bridge."""
    count = int(rng.choice([1, 1, 2, 3, 4], p=[0.35, 0.2, 0.2, 0.15, 0.1]))
    ripeness = rng.uniform(0, 1)
    bend = rng.uniform(0.9, 1.5)
    length = rng.uniform(0.15, 0.19)
    girth = rng.uniform(0.0155, 0.019)
    parts = []
    for k in range(count):
        item = banana_part(rng, ripeness, bend * rng.uniform(0.9, 1.1), length * rng.uniform(0.93, 1.05), girth)
        spread = Euler((0, -(k - (count - 1) / 2) * rng.uniform(0.18, 0.26), rng.normal(0, 0.05))).to_matrix().to_4x4()
        item.data.transform(Matrix.Translation((0, 0, (k - (count - 1) / 2) * girth * 0.75)) @ spread)
        parts.append(item)
    tilt = rng.choice([0.0, pi]) + rng.normal(0, 0.1) if count == 1 else -pi / 2 + rng.normal(0, 0.2)
    if count == 1 and rng.random() < 0.3:
        tilt = -pi / 2 + rng.normal(0, 0.3)
    # The chord is brought level, so that a standing banana rests on both ends.
    level = Euler((tilt, 0, 0)).to_matrix() @ Euler((0, 0, -bend * 0.4)).to_matrix()
    turn = Euler((0, 0, rng.uniform(0, 6.3))).to_matrix() @ level
    return Thing(parts, vertices(*parts), BANANA, turn.to_4x4())


# ---------------------------------------------------------------------------------------------- distractors


def loud(rng) -> tuple:
    """A colour that a fruit has, every other time."""
    return rgb(rng.choice(FRUIT_COLOURS if rng.random() < 0.5 else OTHER_COLOURS))


def spun(thing: Thing, rng) -> Thing:
    thing.matrix = Euler((0, 0, rng.uniform(0, 6.3))).to_matrix().to_4x4() @ thing.matrix
    return thing


def ball(rng) -> Thing:
    """A toy ball: stripes, panels, a seam or dots, so that an eye can tell it from an apple."""
    theta, phi, unit = sphere_grid(120, 200)
    first = loud(rng)
    second = rgb(rng.choice(["#f2efe6", "#f2efe6", "#2d4b73", "#222222"]))
    if min(first) > 0.5:
        second = rgb("#2d4b73")
    kind = rng.choice(["stripes", "panels", "seam", "dots"])
    if kind == "stripes":
        marked = np.sin(theta * rng.integers(5, 10)) > 0.2
    elif kind == "panels":
        marked = np.sin(phi * rng.integers(3, 5)) > 0
    elif kind == "seam":
        marked = np.abs(unit[..., 2] - 0.55 * np.cos(2 * phi) * np.sin(theta)) < 0.06
    else:
        centres = rng.normal(size=(26, 3))
        marked = ((unit @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T) > 0.972).any(-1)
    soft = kind == "seam"
    skin = vertex_painted(
        0.9 if soft else 0.12,
        coat=0 if soft else 0.8,
        bump_scale=900.0 if soft else 0,
        depth=0.0015,
        sheen=0.6 if soft else 0,
    )
    item = surface(unit * rng.uniform(0.028, 0.042), skin, colours=blend(first, second, marked.astype(float)))
    return Thing([item], vertices(item), NOTHING, Euler(rng.uniform(0, 6.3, 3)).to_matrix().to_4x4())


def mug(rng) -> Thing:
    r = rng.uniform(0.036, 0.044)
    h = rng.uniform(0.075, 0.1)
    skin = plain(loud(rng), 0.2, coat=0.7)
    outside = [(0, 0), (r * 0.9, 0), (r, 0.008), (r, h)]
    inside = [(r - 0.003, h + 0.001), (r - 0.005, h), (r - 0.005, 0.008), (0, 0.006)]
    body = revolve(outside + inside, skin)
    a = np.linspace(-1.35, 1.35, 24)
    path = np.stack([r - 0.002 + 0.026 * np.cos(a) - 0.004, 0 * a, h * 0.5 + 0.028 * np.sin(a)], -1)
    handle = tube(path, np.full(24, 0.0048), skin, sides=16)
    return spun(Thing([body, handle], vertices(body, handle)), rng)


def vase(rng) -> Thing:
    r = rng.uniform(0.03, 0.045)
    h = rng.uniform(0.14, 0.22)
    skin = plain(loud(rng), rng.uniform(0.1, 0.6), coat=rng.uniform(0, 0.8))
    neck = r * rng.uniform(0.3, 0.6)
    belly = [(0, 0), (r * 0.7, 0), (r, h * 0.25), (r * 0.95, h * 0.55), (neck, h * 0.72)]
    mouth = [(neck, h * 0.92), (neck * 1.25, h), (neck, h), (neck * 0.8, h * 0.7), (0, h * 0.6)]
    body = revolve(belly + mouth, skin)
    return Thing([body], vertices(body))


def book(rng) -> Thing:
    w = rng.uniform(0.11, 0.16)
    d = rng.uniform(0.16, 0.21)
    items = []
    z = 0.0
    for _ in range(rng.integers(1, 4)):
        h = rng.uniform(0.014, 0.034)
        cover = plain(loud(rng), 0.5, coat=0.1, grain=0.0003)
        pages = tiles(
            rgb("#e6dcc4"), rgb("#b5a88c"), width=9.0, height=0.0011, gap=0.0003, offset=0.0, rough=0.9, vary=0.1
        )
        for part in (0, 1):
            items.append(box((w, d, 0.0025), (0, 0, z + 0.00125 + part * (h - 0.0025)), cover, bevel=0.001))
        items.append(box((0.003, d, h), (-w / 2, 0, z + h / 2), cover, bevel=0.001))
        items.append(box((w - 0.008, d - 0.008, h - 0.005), (0, 0, z + h / 2), pages, bevel=0))
        label = (-w / 2, d * rng.uniform(-0.3, 0.3), z + h / 2)
        items.append(box((0.0032, d * 0.12, h * 0.99), label, plain(loud(rng), 0.4), bevel=0))
        z += h
    return spun(Thing(items, block((w + 0.006, d, z), (0, 0, z / 2))), rng)


def crate(rng) -> Thing:
    w = rng.uniform(0.09, 0.16)
    d = rng.uniform(0.07, 0.1)
    h = rng.uniform(0.05, 0.09)
    t = 0.005
    skin = wood(rgb("#a8702f"), rgb("#dcae62"), plank=0.04) if rng.random() < 0.6 else plain(loud(rng), 0.5)
    parts = [((w, d, t), (0, 0, t / 2))]
    parts += [((w, t, h), (0, y * d / 2, h / 2)) for y in (-1, 1)]
    parts += [((t, d, h), (x * w / 2, 0, h / 2)) for x in (-1, 1)]
    return spun(Thing([box(*part, skin) for part in parts], block((w, d, h), (0, 0, h / 2))), rng)


def cloth(rng) -> Thing:
    """A crumpled napkin."""
    x, y = np.meshgrid(np.linspace(-1, 1, 90), np.linspace(-1, 1, 90), indexing="ij")
    flat = np.stack([x, y, 0 * x], -1)
    size = rng.uniform(0.06, 0.09)
    wave = np.abs(waves(rng, flat, 2.4)) * 0.011 + np.abs(waves(rng, flat, 5)) * 0.004
    lift = wave * (1.15 - np.maximum(np.abs(x), np.abs(y)) ** 4) + 0.001
    shift = np.stack([waves(rng, flat, 1.5), waves(rng, flat, 1.5), 0 * x], -1) * 0.012
    skin = fabric(loud(rng)) if rng.random() < 0.5 else checked_cloth(loud(rng), rgb("#efe9dc"), size=0.02)
    item = surface(np.stack([x * size, y * size * 0.8, lift], -1) + shift, skin, wrap=False)
    return spun(Thing([item], vertices(item)), rng)


def leaf(rng) -> Thing:
    """A lemon leaf: folded along its rib, curled at the tip, veined."""
    t, w = np.meshgrid(np.linspace(0, 1, 40), np.linspace(-1, 1, 25), indexing="ij")
    length = rng.uniform(0.06, 0.1)
    half = 0.24 * length * np.sin(pi * t**0.8) ** 0.8
    lift = 0.1 * length * w**2 * rng.uniform(0.3, 1.2) + 0.2 * length * t**2 * rng.uniform(0, 1) + 0.001
    base = rgb(rng.choice(["#3f6b22", "#56822a", "#7a8f2f", "#a5892c", "#a3622a"]))
    veins = np.maximum(np.exp(-((w / 0.05) ** 2)), 0.5 * np.exp(-(((np.sin(26 * (t - 0.25 * np.abs(w)))) / 0.15) ** 2)))
    points = np.stack([t * length, w * half, lift], -1)
    colour = blend(base, shade(base, 1.9), 0.6 * veins)
    item = surface(points, vertex_painted(0.35), colours=colour, wrap=False)
    return spun(Thing([item], vertices(item)), rng)


def spoon(rng) -> Thing:
    t = np.linspace(0, 1, 60)
    bowl = 0.021 * np.sqrt(np.clip(1 - ((t - 0.14) / 0.142) ** 2, 0, 1))
    width = np.where(t < 0.28, bowl, 0.0) + 0.0055 * smoothstep(t, 0.2, 0.3)
    psi = np.linspace(0, 2 * pi, 24, endpoint=False)
    thick = np.where(t < 0.25, 0.0035, 0.005)
    across = width[:, None] * np.cos(psi)
    above = 0.006 + thick[:, None] * np.sin(psi)
    points = np.stack(np.broadcast_arrays(t[:, None] * 0.26, across, above), -1)
    item = surface(points, wood(rgb("#9a6a34"), rgb("#cfa468"), plank=1.0))
    return spun(Thing([item], vertices(item)), rng)


SMALL = [(ball, 0.18), (leaf, 0.32), (cloth, 0.27), (spoon, 0.23)]
TALL = [(mug, 0.3), (vase, 0.18), (book, 0.32), (crate, 0.16), (ball, 0.04)]
