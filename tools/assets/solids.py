"""The abstract solids of `procedural.py`: each is an outline with the direction that its surface faces at every pixel.

A solid is a function of (rng, x, y, step): coordinates (h, w) with y upward, the solid within [-1, 1], a pixel `step`
wide. `rng` decides its proportions. It returns a `Surface`. Balls, boxes, cans and cones are cut by parallel rays,
tubes are unions of balls, the rest are height fields or bodies of revolution.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
Rng = np.random.Generator
Surface = tuple[
    Array, Array, Array | float
]  # inside (h, w) bool; normals (3, h, w), x right, y up, z to us; brightness


def f32(values: object) -> Array:
    return np.asarray(values, dtype=np.float32)


def unit(n: Array) -> Array:
    return n / np.sqrt(np.maximum((n * n).sum(0), 1e-9))


def _from_height(h: Array, step: float) -> Array:
    """Returns the normals (3, h, w) of a height field; `step` is the width of a pixel in the unit of `h`."""
    if min(h.shape) < 2:
        return np.broadcast_to(f32([0, 0, 1])[:, None, None], (3, *h.shape))
    dy, dx = np.gradient(h, step)
    return unit(np.stack([-dx, dy, np.ones_like(h)]))  # rows run downward, y upward


def _rotation(rng: Rng, tilt: float = np.pi) -> Array:
    """Returns a rotation (3, 3): a spin about the upright axis, then a tilt toward us of up to `tilt` radians."""
    a = rng.uniform(0, 2 * np.pi)
    b = rng.uniform(0.1, 1.0) * tilt
    spin = f32([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    lean = f32([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return spin.T @ lean.T  # maps world to object


def _ellipsoid_of(axes: Array, turn: Array, x: Array, y: Array) -> Surface:
    a = (turn[:, :2] @ np.stack([x.ravel(), y.ravel()])) / axes[:, None]
    b = turn[:, 2] / axes
    aa = (a * a).sum(0) - 1
    ab = b @ a
    bb = b @ b
    disc = ab * ab - aa * bb
    q = a + b[:, None] * ((np.sqrt(np.maximum(disc, 0)) - ab) / bb)
    return (disc > 0).reshape(x.shape), unit(turn.T @ (q / axes[:, None])).reshape(3, *x.shape), 1.0


def ball(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    return _ellipsoid_of(np.full(3, rng.uniform(0.85, 1), np.float32), np.eye(3, dtype=np.float32), x, y)


def ellipsoid(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    s = rng.uniform(0.4, 0.72)
    return _ellipsoid_of(f32([1, s, s * rng.uniform(0.8, 1.25)]), np.eye(3, dtype=np.float32), x, y)


def _revolved(profile, x: Array, y: Array) -> Surface:
    """A solid turned about the x axis: `profile` gives the radius at x."""
    p = profile(x)
    slope = (profile(x + 0.02) - profile(x - 0.02)) / 0.04
    h = np.sqrt(np.maximum(p * p - y * y, 0))
    return (np.abs(y) < p) & (np.abs(x) < 1), unit(np.stack([-p * slope, y, h + 1e-3])), 1.0


def spindle(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    wide = rng.uniform(0.3, 0.75)
    a = rng.uniform(1.7, 2.6)
    b = rng.uniform(0.75, 1.2)
    return _revolved(lambda t: f32(wide) * np.maximum(1 - np.abs(t) ** f32(a), 0) ** f32(b), x, y)


def vase(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    knots = f32(rng.uniform(0.15, 0.6, 6))
    knots[1:-1] = (knots[:-2] + 2 * knots[1:-1] + knots[2:]) / 4
    fine = np.interp(np.linspace(-1, 1, 64), np.linspace(-1, 1, 6), knots)
    fine = np.convolve(np.pad(fine, 4, "edge"), np.ones(9) / 9, "valid").astype(np.float32)
    return _revolved(lambda t: fine[np.clip((t + 1) * 31.5, 0, 63).astype(np.int32)], x, y)


def _swept(points: Array, radii: Array, x: Array, y: Array) -> Surface:
    """A tube: the union of balls at `points` (k, 3) with `radii` (k,)."""
    p = np.stack([x.ravel(), y.ravel(), np.ones(x.size, np.float32)])
    rows = np.column_stack([2 * points[:, :2], radii**2 - (points[:, :2] ** 2).sum(1)]).astype(np.float32)
    disc = rows @ p - (p[0] ** 2 + p[1] ** 2)  # (k, h * w)
    z = np.where(disc > 0, np.sqrt(np.maximum(disc, 0)) + points[:, 2:], -9)
    k = z.argmax(0)
    c = points[k].T
    r = radii[k]
    n = np.stack(
        [(p[0] - c[0]) / r, (p[1] - c[1]) / r, np.sqrt(np.maximum(np.take_along_axis(disc, k[None], 0)[0], 0)) / r]
    )
    return (disc.max(0) > 0).reshape(x.shape), unit(n).reshape(3, *x.shape).astype(np.float32), 1.0


def crescent(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    t = np.linspace(-1, 1, 26)
    bend = rng.uniform(0.5, 1.7)
    thick = rng.uniform(0.13, 0.3)
    angle = np.pi / 2 + bend * t
    curve = np.column_stack([np.cos(angle), np.sin(angle), 0 * t]) / max(np.sin(min(bend, np.pi / 2)), 0.6)
    curve[:, 1] -= curve[:, 1].mean()
    curve[:, 2] = rng.uniform(-0.5, 0.5) * t
    radii = thick * (1 - rng.uniform(0.4, 0.9) * np.abs(t) ** rng.uniform(2, 5))
    return _swept(f32(curve * 0.8), f32(radii), x, y)


def ring(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    t = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    thick = rng.uniform(0.13, 0.32)
    flat = rng.uniform(0.0, 1.25)
    circle = np.column_stack([np.cos(t), np.sin(t) * np.cos(flat), np.sin(t) * np.sin(flat)]) * (1 - thick)
    return _swept(f32(circle), np.full(44, thick, np.float32), x, y)


def box(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    sides = f32(rng.uniform(0.25, 0.62, 3))
    turn = _rotation(rng, 1.0)
    a = (turn[:, :2] @ np.stack([x.ravel(), y.ravel()])).reshape(3, *x.shape)
    b = turn[:, 2]
    b = np.where(np.abs(b) < 1e-3, 1e-3, b)[:, None, None]
    far, near = np.sort(np.stack([(-sides[:, None, None] - a) / b, (sides[:, None, None] - a) / b]), axis=0)
    face = near.argmin(0)
    return near.min(0) > far.max(0), (turn * np.sign(b[:, :, 0]))[face].transpose(2, 0, 1), 1.0


def cylinder(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A can or, half of the time, an open cup."""
    r = rng.uniform(0.3, 0.65)
    half = rng.uniform(0.2, 0.75)
    turn = _rotation(rng, 0.9)
    a = turn[:, :2] @ np.stack([x.ravel(), y.ravel()])
    b = turn[:, 2]
    bb = b[0] ** 2 + b[2] ** 2 + 1e-6
    ab = b[0] * a[0] + b[2] * a[2]
    disc = ab**2 - bb * (a[0] ** 2 + a[2] ** 2 - r * r)
    root = np.sqrt(np.maximum(disc, 0))
    near = (-ab + root) / bb
    far = (-ab - root) / bb
    up = b[1] if abs(b[1]) > 1e-3 else 1e-3
    cap = (np.sign(up) * half - a[1]) / up
    z = np.minimum(near, cap)
    q = a + b[:, None] * z
    radial = np.stack([q[0], 0 * z, q[2]]) / r
    lid = cap < near
    gain = 1.0
    n = np.where(lid, f32([0, np.sign(up), 0])[:, None], radial)
    if rng.random() < 0.5:  # an open cup: through its mouth we see the inner wall behind, turned toward us
        rho = np.sqrt(q[0] ** 2 + q[2] ** 2) / r
        hollow = lid & (rho < 0.88)
        back = a + b[:, None] * far
        n = np.where(hollow, -np.stack([back[0], 0 * z, back[2]]) / r, n)
        gain = np.where(hollow, f32(rng.uniform(0.25, 0.7)), f32(1)).reshape(x.shape)
    inside = (disc > 0) & (z > np.maximum(far, (-np.sign(up) * half - a[1]) / up))
    return inside.reshape(x.shape), unit(turn.T @ n).reshape(3, *x.shape).astype(np.float32), gain


def cone(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A cone, or a pyramid of three to six sides."""
    smooth = rng.random() < 0.6
    sides = 18 if smooth else rng.integers(3, 7)
    turn = _rotation(rng, 0.8)
    wide = rng.uniform(0.4, 0.8)
    t = np.arange(sides) * 2 * np.pi / sides
    lean = np.hypot(1.7, wide)
    planes = np.column_stack([np.cos(t) * 1.7, np.full(sides, wide), np.sin(t) * 1.7]) / lean
    planes = np.vstack([planes, [0, -1, 0]])
    d = f32(np.append(np.full(sides, 0.9 * wide / lean), 0.8))
    world = (planes @ turn).astype(np.float32)
    world[np.abs(world[:, 2]) < 1e-3, 2] = 1e-3
    z = (d[:, None] - world[:, :2] @ np.stack([x.ravel(), y.ravel()])) / world[:, 2:]
    front = world[:, 2] > 0
    near = z[front].min(0)
    far = z[~front].max(0) if (~front).any() else np.full(x.size, -9, np.float32)
    face = np.flatnonzero(front)[z[front].argmin(0)]
    n = world[face].T
    if smooth:
        q = turn @ np.stack([x.ravel(), y.ravel(), near])
        round_n = turn.T @ unit(np.stack([q[0], np.hypot(q[0], q[2]) * wide / 1.7, q[2]]))
        n = np.where(face == sides, n, round_n)
    return (near > far).reshape(x.shape), unit(n).reshape(3, *x.shape).astype(np.float32), 1.0


def star(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A thick flat star: its face, and the side that its thickness shows."""
    points = rng.integers(4, 8)
    depth = rng.uniform(0.35, 0.6)
    shift = rng.uniform(-0.2, 0.2, 2)
    turn = rng.uniform(0, 2 * np.pi)

    def radius(u: Array, v: Array) -> Array:
        wave = np.abs((np.arctan2(v, u) + turn) * (points / (2 * np.pi)) % 1 - 0.5) * 2
        return 0.95 * (depth + (1 - depth) * wave) - np.hypot(u, v)

    face = radius(x, y)
    side = np.maximum.reduce([radius(x - shift[0] * k, y - shift[1] * k) for k in (0.33, 0.66, 1.0)])
    bevel = _from_height(np.minimum(face, f32(rng.uniform(0.02, 0.5))).astype(np.float32), step)
    wall = unit(f32([shift[0], shift[1], 0.05]))[:, None, None]
    return np.maximum(face, side) > 0, np.where(face > 0, bevel, wall), 1.0


def leaf(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A thin flat leaf, folded along its middle, with veins."""
    wide = rng.uniform(0.2, 0.5)
    b = rng.uniform(0.7, 1.3)
    curl = rng.uniform(-0.25, 0.25)
    v = y - curl * (1 - x * x)
    edge = wide * np.maximum(1 - x * x, 0) ** b * (1 - 0.35 * x)
    vein = np.sin(rng.uniform(14, 26) * (x - np.abs(v)))
    h = rng.uniform(-0.4, 0.4) * np.abs(v) + rng.uniform(0, 0.02) * vein + rng.uniform(-0.3, 0.3) * x * x
    gain = np.where(np.abs(v) < 0.03, rng.uniform(0.8, 1.7), 1 + 0.12 * vein)
    return (np.abs(v) < edge) & (np.abs(x) < 1), _from_height(f32(h), step), f32(gain)


def dimpled(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A round body with a dent on top that shows as a cusp in the outline or, tilted to us, as a shaded pit."""
    theta = np.arctan2(x, y)
    tilt = rng.uniform(0, 0.6)
    r = 0.97 - rng.uniform(0.12, 0.4) * (1 - tilt) * np.exp(-np.abs(theta) / rng.uniform(0.25, 0.6))
    r = r * (1 - rng.uniform(0, 0.22) * (0.5 - 0.5 * np.cos(theta)) * np.abs(np.sin(theta / 2 + 0.6)))
    rho = np.hypot(x, y) / r
    pit = np.exp(-((x / rng.uniform(0.2, 0.35)) ** 2) - ((y - 0.8 + tilt) / rng.uniform(0.12, 0.3)) ** 2)
    h = np.sqrt(np.maximum(1 - rho * rho, 0)) - rng.uniform(0.2, 0.5) * pit
    return rho < 1, _from_height(f32(h), step), f32(1 - 0.5 * pit)


def _wavy(rng: Rng, x: Array, y: Array, strength: float) -> Array:
    theta = np.arctan2(y, x)
    r = sum(rng.normal() / k * np.cos(k * theta + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5))
    return np.hypot(x, y) / (0.8 + strength * np.tanh(r) * 0.2)


def blob(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    rho = _wavy(rng, x, y, rng.uniform(0.9, 2.2))
    bumps = rng.uniform(0, 0.25) * np.sin(x * rng.uniform(3, 9) + 1) * np.sin(y * rng.uniform(3, 9))
    return rho < 1, _from_height(f32(np.sqrt(np.maximum(1 - rho * rho, 0)) * rng.uniform(0.5, 1) + bumps), step), 1.0


def cloth(rng: Rng, x: Array, y: Array, step: float) -> Surface:
    """A sheet with folds and no rounding at its rim."""
    c = rng.uniform(0, np.pi)
    u = x * np.cos(c) + y * np.sin(c)
    v = y * np.cos(c) - x * np.sin(c)
    h = sum(rng.uniform(0.02, 0.14) * np.sin(u * f + v * rng.uniform(-3, 3) + rng.uniform(0, 6)) for f in (3, 6, 11))
    rim = np.maximum(np.abs(x), np.abs(y) * rng.uniform(1, 1.8)) + 0.6 * h
    return np.where(rng.random() < 0.5, rim, _wavy(rng, x, y, 1.0)) < 0.9, _from_height(f32(h), step), 1.0


SOLIDS = (ball, ellipsoid, spindle, crescent, box, cylinder, ring, cone, star, leaf, dimpled, blob, cloth, vase)
UPRIGHT = (box, cylinder, cone, dimpled)  # these are mostly seen standing; the others lie at any angle
