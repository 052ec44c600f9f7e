"""Shapes become pixels by one rule: the centre of the pixel lies inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from seglib.data.formats.rasters import (
    Region,
    circle_region,
    clip_polygon,
    polygon_region,
    polygons_region,
    run_length_region,
)
from seglib.errors import MaskError, SegError
from tests.support.helpers import check_message, quick

SIZE = (24, 32)
SQUARE = np.array([[2, 2], [6, 2], [6, 6], [2, 6]], float)


def whole(region: Region, size=SIZE) -> np.ndarray:
    labels = np.zeros(size, np.uint16)
    region.paint(labels, 1)
    return labels > 0


def inside_by_centres(points: np.ndarray, size=SIZE) -> np.ndarray:
    """The rule itself, even-odd, one pixel at a time."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def distance_to_outline(points: np.ndarray, size=SIZE) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    nearest = np.full(size, np.inf)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        way = end - start
        length = float(way @ way)
        along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / length, 0, 1) if length else 0 * x
        nearest = np.minimum(nearest, np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1]))
    return nearest


def polygons(low: float, high_x: float, high_y: float):
    corner = st.tuples(st.floats(low, high_x, width=32), st.floats(low, high_y, width=32))
    return st.lists(corner, min_size=3, max_size=8).map(lambda points: np.array(points, float))


def test_a_square_covers_the_pixels_whose_centres_it_holds():
    expected = np.zeros(SIZE, bool)
    expected[2:6, 2:6] = True
    assert (whole(polygon_region(SQUARE, SIZE)) == expected).all()
    assert (whole(polygon_region(SQUARE + 0.4, SIZE)) == expected).all()
    assert (whole(polygon_region(SQUARE + 0.6, SIZE)) == np.roll(expected, 1, (0, 1))).all()


def test_pillow_draws_the_outline_too():
    picture = Image.new("L", SIZE[::-1])
    ImageDraw.Draw(picture).polygon([tuple(point) for point in SQUARE], fill=1)
    assert (np.asarray(picture).sum(), whole(polygon_region(SQUARE, SIZE)).sum()) == (25, 16)


@quick
@given(polygons(0, SIZE[1], SIZE[0]))
def test_a_polygon_is_drawn_as_pycocotools_draws_it_on_the_whole_picture(points):
    theirs = coco.decode(coco.frPyObjects([points.ravel().tolist()], *SIZE))[..., 0] > 0
    assert (whole(polygon_region(points, SIZE)) == theirs).all()


@settings(quick, max_examples=200)
@given(polygons(-20, 50, 40))
def test_a_polygon_differs_from_the_rule_only_beside_its_outline(points):
    drawn = whole(polygon_region(points, SIZE))
    wrong = drawn != inside_by_centres(points)
    assert (distance_to_outline(points)[wrong] < 0.25).all()


@quick
@given(st.tuples(st.integers(-9, 40), st.integers(-9, 40)), st.tuples(st.integers(-9, 40), st.integers(-9, 40)))
def test_a_rectangle_of_whole_numbers_is_exact_even_where_it_leaves_the_picture(first, last):
    (x0, x1), (y0, y1) = sorted((first[0], last[0])), sorted((first[1], last[1]))
    points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)
    expected = np.zeros(SIZE, bool)
    expected[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    assert (whole(polygon_region(points, SIZE)) == expected).all()


def test_a_clipped_polygon_stays_inside_and_far_corners_cost_no_memory():
    points = clip_polygon(np.array([[-9e5, -9e5], [9e5, -9e5], [9e5, 9e5], [-9e5, 9e5]]), SIZE)
    assert points.min() == 0
    assert points.max(axis=0).tolist() == [32, 24]
    assert clip_polygon(SQUARE - 100, SIZE).shape == (0, 2)


def test_one_outline_that_walks_to_a_hole_and_back_keeps_the_hole():
    outline = [[1, 1], [9, 1], [9, 9], [1, 9], [1, 1], [3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]
    drawn = whole(polygon_region(np.array(outline, float), SIZE))
    assert drawn.sum() == 64 - 9
    assert not drawn[3:6, 3:6].any()


@pytest.mark.parametrize(("cut", "pixels"), [(False, 64), (True, 64 - 16 + 1)])
def test_a_part_inside_another_is_filled_or_cut_and_an_island_in_the_hole_stays(cut, pixels):
    outer = np.array([[1, 1], [9, 1], [9, 9], [1, 9]], float)
    hole = SQUARE
    island = np.array([[3, 3], [4, 3], [4, 4], [3, 4]], float)
    region, enclosed = polygons_region([island, outer, hole, outer], SIZE, cut_holes=cut)
    assert whole(region).sum() == pixels
    assert enclosed == (1 if cut else 2)


def test_parts_apart_are_one_object():
    region, enclosed = polygons_region([SQUARE, SQUARE + 10], SIZE, cut_holes=True)
    assert (whole(region).sum(), enclosed) == (32, 0)


@quick
@given(st.floats(-5, 40), st.floats(-5, 30), st.floats(0, 30))
def test_a_circle_holds_the_centres_within_its_radius(x, y, radius):
    centre, edge = np.array([x, y]), np.array([x + radius, y])
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    apart = np.hypot(rows - y, columns - x)
    wrong = whole(circle_region(centre, edge, SIZE)) != (apart <= radius)
    assert (np.abs(apart - radius)[wrong] < 1e-9).all()


masks = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))


@quick
@given(masks)
def test_run_lengths_are_read_back_equal(mask):
    packed = coco.encode(np.asfortranarray(mask))
    text = {"size": list(mask.shape), "counts": packed["counts"].decode("ascii")}
    column = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], column, [2]]))).tolist()
    plain = {"size": list(mask.shape), "counts": np.diff([0, *changes]).tolist()}
    for segmentation in (text, plain):
        assert (run_length_region(segmentation, mask.shape, "a").inside == mask).all()


@quick
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_a_strange_text_is_a_mask_or_an_error_and_never_memory_left_over(text):
    try:
        inside = run_length_region({"size": [4, 4], "counts": text}, (4, 4), "it").inside
    except MaskError as error:
        check_message(error, "it")
    else:
        assert inside.shape == (4, 4)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 4], "counts": "0"},
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4], "counts": "P"},  # says that a further character follows
        {"size": [4, 4], "counts": [3, 2]},
        {"size": [4, 4], "counts": [3, -2, 15]},
        {"size": [4, 4], "counts": [3.0, 13.0]},
        {"size": [4, 4], "counts": [3, 99]},
        {"size": [4, 4], "counts": [2**63, 16 - 2**63]},
        {"size": [4, 4], "counts": "ooooooooo0"},
        {"size": [4, 4], "counts": "\u20ac"},
        {"size": [4, 4], "counts": None},
        {"size": [4, 4]},
    ],
)
def test_damaged_run_lengths_are_an_error(segmentation):
    with pytest.raises(MaskError, match="add up to 4 x 4") as error:
        run_length_region(segmentation, (4, 4), '"a.json", annotation 7')
    check_message(error.value, '"a.json", annotation 7')


def test_run_lengths_of_another_picture_are_an_error():
    with pytest.raises(MaskError, match="size"):
        run_length_region({"size": [3, 4], "counts": [12]}, (4, 3), "it")


def test_without_pycocotools_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.mask", None)
    with pytest.raises(SegError) as error:
        polygon_region(SQUARE, SIZE)
    check_message(error.value, "pycocotools", 'pip install "seglib[formats]"')
