import ast
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from seglib.data.image_io import load_mask
from seglib.data.mask_faults import are_greys_of_voc, grey_of, is_smoothed, voc_colour
from seglib.data.mask_tables import parse_colour
from seglib.data.mask_values import AS_STORED, MaskValues, make_mask_values, read_class_names
from seglib.errors import MaskError
from tests.support.helpers import HEIGHT, WIDTH, binary_mask, photograph, quick, refused
from tools.proofs.fuzz import png_bytes, tiff_bytes

CLASSES = ["background", "apple", "lemon", "banana"]
TWO = ["background", "cell"]
COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [224, 224, 192]], np.uint8)


def spread(values, dtype=np.uint8) -> np.ndarray:
    """(H, W), the values side by side in its columns."""
    return np.tile(np.resize(np.array(values, dtype), WIDTH), (HEIGHT, 1))


def save(path, values, dtype=np.uint8):
    Image.fromarray(spread(values, dtype)).save(path)
    return path


def palette_picture(colours, labels) -> Image.Image:
    picture = Image.frombytes("P", (WIDTH, HEIGHT), spread(labels).tobytes())
    picture.putpalette(colours)
    return picture


def values_in(mask: Image.Image) -> list[int]:
    assert mask.mode == "L"
    return np.unique(np.array(mask)).tolist()


# Two colours, however they are stored


def two_colours(path, kind):
    grey = binary_mask()
    if kind == "palette":
        picture = Image.frombytes("P", grey.size, (np.array(grey) // 255).tobytes())
        picture.putpalette([0, 0, 0, 255, 255, 255])
    elif kind == "palette, white first":
        picture = Image.frombytes("P", grey.size, (1 - np.array(grey) // 255).tobytes())
        picture.putpalette([255, 255, 255, 0, 0, 0])
    elif kind == "16 bits":
        picture = Image.fromarray(np.array(grey).astype(np.uint16) * 257)
    elif kind == "255 in 16 bits":
        picture = Image.fromarray(np.array(grey).astype(np.uint16))
    else:
        picture = grey.convert(kind)
    picture.save(path)
    return path


STORED = ["L", "1", "LA", "RGB", "RGBA", "palette", "palette, white first", "16 bits", "255 in 16 bits"]


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_black_and_white_is_a_binary_mask_however_it_is_stored(tmp_path, kind, ending):
    mask = load_mask(two_colours(tmp_path / f"a.{ending}", kind))
    assert mask.mode == "L"
    assert np.array_equal(np.array(mask), np.array(binary_mask()))


@pytest.mark.parametrize("ending", ["gif", "bmp", "webp", "pgm", "pbm", "jp2", "tga"])
def test_black_and_white_in_other_kinds_of_files(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    binary_mask().convert("1" if ending == "pbm" else "L").save(tmp_path / f"a.{ending}", **options)
    assert np.array_equal(np.array(load_mask(tmp_path / f"a.{ending}")), np.array(binary_mask()))


@pytest.mark.parametrize("kind", ["L", "1", "LA", "RGB", "RGBA"])
def test_black_and_white_where_two_classes_are_named_asks_what_white_is(tmp_path, kind):
    path = two_colours(tmp_path / "a.png", kind)
    with refused(MaskError, tmp_path, "/a.png", "only 0 and 255", '"cell" missed', "relabel={255: 1}", "ignore=255"):
        load_mask(path, TWO)
    named = load_mask(path, TWO, values=make_mask_values(relabel={255: 1}, classes=TWO))
    assert np.array_equal(np.array(named), np.array(binary_mask()) // 255)
    unknown = load_mask(path, TWO, values=make_mask_values(ignore=255, classes=TWO))
    assert np.array_equal(np.array(unknown), np.array(binary_mask()))


def test_with_three_classes_a_picture_of_background_and_border_is_right_if_it_holds_numbers(tmp_path):
    assert values_in(load_mask(save(tmp_path / "a.png", [0, 255]), CLASSES)) == [0, 255]
    path = two_colours(tmp_path / "b.png", "RGB")
    with refused(MaskError, tmp_path, "only 0 and 255"):
        load_mask(path, CLASSES)


def test_black_alone_is_background_however_it_is_stored(tmp_path):
    for mode in ("L", "1", "RGB", "RGBA", "LA"):
        Image.new("L", (4, 4)).convert(mode).save(tmp_path / "a.png")
        assert values_in(load_mask(tmp_path / "a.png")) == [0]
        assert values_in(load_mask(tmp_path / "a.png", TWO)) == [0]


def test_other_two_colours_are_told_how_to_be_named(tmp_path):
    palette_picture([0, 0, 0, 128, 0, 0], [0, 1]).save(tmp_path / "a.png")
    fix = 'palette={"#000000": 0, "#800000": 255}'
    with refused(MaskError, tmp_path, "/a.png", "palette picture", "#800000", fix):
        load_mask(tmp_path / "a.png")
    palette_picture([0, 0, 0, 128, 0, 0], [0, 1]).convert("RGB").save(tmp_path / "b.png")
    with refused(MaskError, tmp_path, "/b.png", "in colour", "#800000", fix):
        load_mask(tmp_path / "b.png")
    values = make_mask_values(palette={"#000000": 0, "#800000": 255})
    for name in ("a.png", "b.png"):
        assert np.array_equal(np.array(load_mask(tmp_path / name, values=values)), spread([0, 255]))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_mask_that_is_partly_transparent_is_refused(tmp_path, mode):
    mask = binary_mask().convert(mode)
    mask.putalpha(binary_mask())
    mask.save(tmp_path / "a.png")
    for classes in (None, TWO):
        with refused(MaskError, tmp_path, "/a.png", "partly transparent", "without an alpha channel"):
            load_mask(tmp_path / "a.png", classes)


def test_a_photograph_among_the_masks_is_told_as_one(tmp_path):
    photograph().save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "in colour", "wrong folder"):
        load_mask(tmp_path / "a.png")


def test_invert_exchanges_object_and_background(tmp_path):
    for kind in ("L", "1", "RGB", "palette"):
        seen = load_mask(two_colours(tmp_path / "a.png", kind), values=make_mask_values(invert=True))
        assert np.array_equal(np.array(seen), 255 - np.array(binary_mask()))


# Numbers and palettes


def test_the_numbers_of_voc_are_labels_and_its_border_is_ignored(tmp_path):
    colours = [band for label in range(256) for band in voc_colour(label)]
    palette_picture(colours, [0, 1, 2, 3, 255]).save(tmp_path / "a.png")
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", CLASSES)), spread([0, 1, 2, 3, 255]))
    with refused(MaskError, tmp_path, "5 colours", "classes="):
        load_mask(tmp_path / "a.png")


def test_a_palette_mask_with_transparency_keeps_its_numbers(tmp_path):
    palette_picture([0, 0, 0, 128, 0, 0], [0, 1]).save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", TWO)), spread([0, 1]))


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_the_greys_that_convert_makes_of_vocs_palette_are_recognised(tmp_path, classes):
    colours = [band for label in range(256) for band in voc_colour(label)]
    picture = palette_picture(colours, [0, 1, 2, 255])
    picture.convert("L").save(tmp_path / "a.png")
    assert values_in(Image.open(tmp_path / "a.png")) == [0, 38, 75, 220]
    with refused(MaskError, tmp_path, "38, 75, 220", "VOC", "original palette PNG") as _:
        load_mask(tmp_path / "a.png", classes)
    with pytest.raises(MaskError) as caught:
        load_mask(tmp_path / "a.png", classes)
    assert "missing" not in str(caught.value)
    assert "all classes" not in str(caught.value)


def test_vocs_greys_are_those_of_pillow():
    for label in range(256):
        assert grey_of(voc_colour(label)) == Image.new("RGB", (1, 1), voc_colour(label)).convert("L").getpixel((0, 0))
    assert [voc_colour(label) for label in (0, 1, 2, 3, 20, 255)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 64, 128), (224, 224, 192),
    ]  # fmt: skip
    assert not are_greys_of_voc({0, 15})  # may be label 15
    assert not are_greys_of_voc({0})


def test_grey_labels_in_three_bands_are_read(tmp_path):
    Image.fromarray(spread([0, 1, 2, 3])).convert("RGB").save(tmp_path / "a.png")
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", CLASSES)), spread([0, 1, 2, 3]))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_label_files_of_16_bits_are_read_where_classes_are_named(tmp_path, dtype, ending):
    if dtype == np.int32 and ending == "png":
        pytest.skip("a PNG holds 16 bits at most")
    path = save(tmp_path / f"a.{ending}", [0, 1, 3, 255, 1000], dtype)
    with refused(MaskError, tmp_path, f"/a.{ending}", "no labels: 1000.", "ignore=1000"):
        load_mask(path, CLASSES)
    for said in ({"ignore": 1000}, {"relabel": {1000: 255}}):
        values = make_mask_values(**said, classes=CLASSES)
        assert np.array_equal(np.array(load_mask(path, CLASSES, values=values)), spread([0, 1, 3, 255, 255]))


def test_negative_numbers_are_refused_and_can_be_ignored(tmp_path):
    path = save(tmp_path / "a.tif", [0, 1, -1], np.int32)
    with refused(MaskError, tmp_path, "no labels: -1.", "ignore=-1"):
        load_mask(path, CLASSES)
    values = make_mask_values(ignore=[-1], classes=CLASSES)
    assert np.array_equal(np.array(load_mask(path, CLASSES, values=values)), spread([0, 1, 255]))


def test_labels_in_few_bits_keep_the_numbers_of_their_file(tmp_path):
    """Pillow stretches them to 0 to 255, as for a photograph."""
    (tmp_path / "a.pgm").write_bytes(b"P5\n64 48\n3\n" + spread([0, 1, 2, 3]).tobytes())
    (tmp_path / "b.pgm").write_bytes(b"P2\n64 48 3\n" + b" ".join(b"%d" % n for n in spread([0, 1, 2, 3]).ravel()))
    (tmp_path / "c.pgm").write_bytes(b"P5\n64 48\n1000\n" + spread([0, 1, 2, 3]).astype(">u2").tobytes())
    for name in ("a.pgm", "b.pgm", "c.pgm"):
        assert np.array_equal(np.array(load_mask(tmp_path / name, CLASSES)), spread([0, 1, 2, 3]))
    (tmp_path / "d.pgm").write_bytes(b"P5\n64 48\n1\n" + spread([0, 1]).tobytes())
    assert np.array_equal(np.array(load_mask(tmp_path / "d.pgm")), spread([0, 255]))


@pytest.mark.parametrize("bits", [2, 4])
def test_a_png_of_few_bits_keeps_its_numbers(tmp_path, bits):
    labels = spread([0, 1, 2, 3])
    (tmp_path / "a.png").write_bytes(png_bytes(labels, bits=bits))
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", CLASSES)), labels)


def test_a_tiff_that_counts_from_white_is_read_as_seen_or_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_bytes(255 - np.array(binary_mask())[..., None], colours=0))
    assert np.array_equal(np.array(load_mask(tmp_path / "a.tif")), np.array(binary_mask()))
    with refused(MaskError, tmp_path, "from white to black"):
        load_mask(tmp_path / "a.tif", CLASSES)


# What the reader says about the values


def test_ignore_merge_and_renumber(tmp_path):
    path = save(tmp_path / "a.png", [0, 1, 2, 3, 4, 11])
    values = make_mask_values(ignore=11, relabel={1: 2, 2: 1, 3: 3, 4: 3}, classes=CLASSES)
    assert np.array_equal(np.array(load_mask(path, CLASSES, values=values)), spread([0, 2, 1, 3, 3, 255]))


def test_zero_and_one_become_a_binary_mask(tmp_path):
    path = save(tmp_path / "a.png", [0, 1])
    for target in (1, 255):
        values = make_mask_values(relabel={1: target})
        assert np.array_equal(np.array(load_mask(path, values=values)), spread([0, 255]))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_become_labels_by_a_table(tmp_path, mode):
    labels = spread([0, 1, 2, 3, 4])
    if mode == "P":
        palette_picture(COLOURS[[4, 1, 0, 3, 2]].ravel().tolist(), [2, 1, 4, 3, 0]).save(tmp_path / "a.png")
    else:
        Image.fromarray(COLOURS[labels]).convert(mode).save(tmp_path / "a.png")
    table = {"#000000": "background", (128, 0, 0): "apple", "#008000": 2, "128,128,0": "banana", "#e0e0c0": "ignore"}
    values = make_mask_values(palette=table, classes=CLASSES)
    labels[labels == 4] = 255
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", CLASSES, values=values)), labels)


def test_a_colour_that_is_not_in_the_table_is_named(tmp_path):
    Image.fromarray(COLOURS[spread([0, 1, 1, 1, 2, 2, 3, 4])]).save(tmp_path / "a.png")
    values = make_mask_values(palette={"#000000": 0}, classes=CLASSES)
    with refused(MaskError, tmp_path, "/a.png", "#800000 (1152 pixels), #008000", 'palette={"#800000": 1'):
        load_mask(tmp_path / "a.png", CLASSES, values=values)
    Image.fromarray(COLOURS[spread([0, 1])]).resize((640, 480)).save(tmp_path / "b.png")
    with refused(MaskError, tmp_path, "/b.png", "smoothed edges"):
        load_mask(tmp_path / "b.png", CLASSES, values=values)
    Image.fromarray(COLOURS[spread([0, 1])]).save(tmp_path / "c.jpg")
    with refused(MaskError, tmp_path, "/c.jpg", "JPEG smears"):
        load_mask(tmp_path / "c.jpg", CLASSES, values=values)


def test_colours_without_a_table_are_listed_and_the_fix_works(tmp_path):
    Image.fromarray(COLOURS[spread([0, 1, 2])]).save(tmp_path / "a.png")
    with pytest.raises(MaskError) as caught:
        load_mask(tmp_path / "a.png", CLASSES)
    table = {"#000000": 0, "#800000": 1, "#008000": 2}
    text = '{"#000000": 0, "#800000": 1, "#008000": 2}'
    assert "3 colours" in caught.value.found
    assert f"palette={text}" in caught.value.fix or 'palette={"#000000": 0, "#008000": 1' in caught.value.fix
    values = make_mask_values(palette=table, classes=CLASSES)
    assert values_in(load_mask(tmp_path / "a.png", CLASSES, values=values)) == [0, 1, 2]


@quick
@given(some.data())
def test_whatever_labels_are_drawn_in_colours_are_read_back(tmp_path, data):
    count = data.draw(some.integers(2, 30))
    classes = [f"class {n}" for n in range(count)]
    colours = data.draw(
        some.lists(some.tuples(*[some.integers(0, 255)] * 3), min_size=count + 1, max_size=count + 1, unique=True)
    )
    labels = np.random.default_rng(data.draw(some.integers(0, 99))).integers(0, count + 1, (13, 17))
    Image.fromarray(np.array(colours, np.uint8)[labels]).save(tmp_path / "a.png")
    table = {colour: label if label < count else 255 for label, colour in enumerate(colours)}
    seen = load_mask(tmp_path / "a.png", classes, values=make_mask_values(palette=table, classes=classes))
    assert np.array_equal(np.array(seen), np.where(labels < count, labels, 255))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ignore": 1.5, "classes": CLASSES}, ["ignore", "ignore=11"]),
        ({"ignore": "11", "classes": CLASSES}, ["ignore", "ignore=11"]),
        ({"ignore": True, "classes": CLASSES}, ["ignore", "ignore=11"]),
        ({"ignore": 11}, ["ignore=11", "binary", 'classes=["background", "cell"]']),
        ({"relabel": [1, 2], "classes": CLASSES}, ["relabel is list", "relabel={"]),
        ({"relabel": {1: 9}, "classes": CLASSES}, ["label 9", "0 to 3", "relabel={1: 3}"]),
        ({"relabel": {1: -1}, "classes": CLASSES}, ["label -1"]),
        ({"relabel": {11: 2}, "ignore": 11, "classes": CLASSES}, ["11 is both", "ignore=11"]),
        ({"relabel": {3: 2}}, ["binary", "classes="]),
        ({"relabel": {3: 1, 4: 255}}, ["binary", "classes="]),
        ({"invert": True, "classes": CLASSES}, ["invert", "binary"]),
        ({"palette": {"#ff00": 1}, "classes": CLASSES}, ["'#ff00' is no colour", "palette="]),
        ({"palette": {(256, 0, 0): 1}, "classes": CLASSES}, ["is no colour"]),
        ({"palette": {(1, 0): 1}, "classes": CLASSES}, ["is no colour"]),
        ({"palette": {"#ff0000": "pear"}, "classes": CLASSES}, ['"pear"', "background, apple"]),
        ({"palette": {"#ff0000": "pear"}}, ['"pear"', "numbers"]),
        ({"palette": {"#ff0000": 4}, "classes": CLASSES}, ["label 4"]),
        ({"palette": {"#ff0000": 1, (255, 0, 0): 2}, "classes": CLASSES}, ["twice"]),
        ({"palette": [1], "classes": CLASSES}, ["palette is list"]),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, given, words):
    with refused(MaskError, tmp_path, *words):
        make_mask_values(**given)


def test_nothing_said_changes_nothing():
    assert make_mask_values() == AS_STORED == MaskValues()
    assert make_mask_values(ignore=[11, np.int64(11), 12], classes=CLASSES).ignore == (11, 12)
    assert parse_colour((np.uint8(1), 2, 3)) == (1, 2, 3)


def test_values_made_by_hand_are_checked_when_a_mask_is_read(tmp_path):
    save(tmp_path / "a.png", [0, 255])
    with refused(MaskError, tmp_path, "binary"):
        load_mask(tmp_path / "a.png", values=MaskValues(ignore=(3,)))


# What is said of values that are no labels


def test_void_just_above_the_classes_is_told_to_be_ignored(tmp_path):
    path = save(tmp_path / "a.png", [0, 1, 2, 3, 4])
    with pytest.raises(MaskError) as caught:
        load_mask(path, CLASSES)
    assert "ignore=4" in caught.value.fix
    assert "classes" not in caught.value.fix
    assert "missing" not in caught.value.fix


@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("size", [(31, 25), (200, 150), (96, 72)])
def test_a_mask_resized_smoothly_is_told_to_be_thresholded(tmp_path, how, size):
    mask = binary_mask().resize(size, how)
    mask.save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "resized smoothly", "Threshold it at 128"):
        load_mask(tmp_path / "a.png")
    mended = mask.point(lambda value: 255 * (value >= 128))
    mended.save(tmp_path / "a.png")
    assert values_in(load_mask(tmp_path / "a.png")) == [0, 255]


def test_a_mask_that_was_once_a_jpeg_is_told_so(tmp_path):
    binary_mask().resize((320, 240), Image.Resampling.NEAREST).save(tmp_path / "a.jpg", quality=90)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "once saved as JPEG"):
        load_mask(tmp_path / "a.png")
    for ending in ("webp", "jpg"):
        binary_mask().save(tmp_path / f"b.{ending}", quality=60)
        with refused(MaskError, tmp_path, f"/b.{ending}", "smears values", "as PNG"):
            load_mask(tmp_path / f"b.{ending}")


def test_class_masks_and_single_pixels_are_not_called_smoothed():
    assert not is_smoothed({0: 900, 1: 50, 2: 30, 255: 20})
    assert not is_smoothed({0: 900, 255: 99, 128: 1})
    assert not is_smoothed(dict.fromkeys(range(256), 10))  # a photograph
    assert is_smoothed({0: 900, 30: 2, 100: 3, 170: 2, 255: 90})


def test_labels_stretched_to_be_seen_are_counted_again(tmp_path):
    path = save(tmp_path / "a.png", [0, 85, 170, 255])
    with refused(MaskError, tmp_path, "relabel={85: 1, 170: 2, 255: 3}"):
        load_mask(path, CLASSES)
    values = make_mask_values(relabel={85: 1, 170: 2, 255: 3}, classes=CLASSES)
    assert np.array_equal(np.array(load_mask(path, CLASSES, values=values)), spread([0, 1, 2, 3]))


def test_many_names_are_not_all_listed(tmp_path):
    path = save(tmp_path / "a.png", [0, 199, 201])
    with pytest.raises(MaskError) as caught:
        load_mask(path, [f"name{n}" for n in range(150)])
    assert len(str(caught.value)) < 400
    assert "name149" in str(caught.value)


# Tables


CVAT = """# label:color_rgb:parts:actions
apple:128,0,0::
background:0,0,0::
lemon:0,128,0:body,leaf:act
banana:128,128,0::
"""
TABLES = {
    "labelmap.txt": CVAT,
    "by_hand.csv": "r,g,b,label\n0,0,0,0\n128,0,0,1\n0,128,0,2\n128,128,0,3\n224,224,192,255\n",
    "names.csv": "colour,name\n#000000,background\n#800000,apple\n#008000,lemon\n#808000,banana\n#e0e0c0,ignore\n",
    "no_header.csv": "#000000,background\n#800000,apple\n#008000,lemon\n#808000,banana\n",
    "numbers.csv": "0,0,0,0\n128,0,0,1\n0,128,0,2\n128,128,0,3\n",
    "class_dict.csv": "name,r,g,b\nbackground,0,0,0\napple,128,0,0\nlemon,0,128,0\nbanana,128,128,0\n",
    "excel.csv": "\ufeffcolour;name\r\n#000000;background\r\n#800000;apple\r\n#008000;lemon\r\n#808000;banana\r\n",
    "label_colors.txt": "0 0 0\tbackground\n128 0 0\tapple\n0 128 0 lemon\n128 128 0\tbanana\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_colours_is_read(tmp_path, name):
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8", newline="")
    values = make_mask_values(palette=tmp_path / name, classes=CLASSES)
    found = {colour: label for colour, label in values.palette.items() if label != 255}
    assert found == {(0, 0, 0): 0, (128, 0, 0): 1, (0, 128, 0): 2, (128, 128, 0): 3}
    border = 255 if "224" in TABLES[name] or "e0e0c0" in TABLES[name] else None
    assert values.palette.get((224, 224, 192)) == border
    if "apple" in TABLES[name]:
        assert read_class_names(tmp_path / name) == CLASSES


def test_the_table_of_roboflow_holds_numbers(tmp_path):
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cell\n2, dirt\n")
    assert read_class_names(tmp_path / "_classes.csv") == ["background", "cell", "dirt"]
    values = make_mask_values(palette=tmp_path / "_classes.csv", classes=["background", "dirt", "cell"])
    assert values.palette is None
    assert values.relabel == {0: 0, 1: 2, 2: 1}
    save(tmp_path / "a.png", [0, 1, 2])
    mask = load_mask(tmp_path / "a.png", ["background", "dirt", "cell"], values=values)
    assert np.array_equal(np.array(mask), spread([0, 2, 1]))


def test_a_table_of_two_colours_serves_binary_masks(tmp_path):
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell:250,50,83::\n")
    values = make_mask_values(palette=str(tmp_path / "labelmap.txt"))
    Image.fromarray(np.array([[0, 0, 0], [250, 50, 83]], np.uint8)[spread([0, 1])]).save(tmp_path / "a.png")
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", values=values)), spread([0, 255]))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("background\ncell\n", ["background", "cell"]),
        ("\ufeffcell\r\nbackground\r\n\r\n", ["background", "cell"]),
        ("__ignore__\n_background_\naeroplane\n", ["_background_", "aeroplane"]),
        ("# a comment\nsky\ntree\n", ["sky", "tree"]),
        ("traffic light\nroad sign\n", ["traffic light", "road sign"]),
    ],
)
def test_a_text_of_one_name_a_line(tmp_path, text, names):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8", newline="")
    assert read_class_names(tmp_path / "names.txt") == names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["/t.csv"]),
        (b"one\n", ["/t.csv"]),
        (b"colour,name\n#00000,background\n", ["cannot be read", "#00000"]),
        (b"colour,name\n#000000\n", ["no table"]),
        (b"r,g,b,label\n0,0,999,1\n", ["cannot be read", "999"]),
        (b"r,g,b,label\n0,0,x,1\n", ["cannot be read"]),
        (b"#000000,background\n#000000,cell\n", ["two things", "#000000"]),
        (b"#000000,\n", ["cannot be read"]),
        (b"a,b,c\n1,2,3\n", ["no table"]),
        ("Größe".encode("utf-16"), ["UTF-8"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["UTF-8"]),
        (b'"#000000,background\n', ["/t.csv"]),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with refused(MaskError, tmp_path, *words):
        make_mask_values(palette=tmp_path / "t.csv", classes=CLASSES)
    with refused(MaskError, tmp_path, "t.csv"):
        read_class_names(tmp_path / "t.csv")


def test_a_missing_table_and_an_unknown_name_are_refused(tmp_path):
    with refused(MaskError, tmp_path, "There is no file", "gone.csv"):
        make_mask_values(palette=tmp_path / "gone.csv")
    (tmp_path / "t.txt").write_text(CVAT)
    with refused(MaskError, tmp_path, 'names "lemon"', "classes"):
        make_mask_values(palette=tmp_path / "t.txt", classes=["background", "apple", "banana"])
    (tmp_path / "l.csv").write_text("r,g,b,label,name\n0,0,0,1,background\n")
    with refused(MaskError, tmp_path, "label 1"):
        make_mask_values(palette=tmp_path / "l.csv", classes=CLASSES)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ((0, 1, 3), 4),
        ((0, 2, 3, 255), 4),
        ((0, 1, 5), 6),
    ],
)
def test_the_fix_for_labels_without_names_can_be_typed_as_it_stands(tmp_path, labels, names):
    pixels = np.resize(np.array(labels, np.uint8), (HEIGHT, WIDTH))
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    palette = Image.fromarray(pixels, "P")
    palette.putpalette([value for label in range(256) for value in (label, 255 - label, 90)])
    palette.save(tmp_path / "palette.png")
    for name in ("grey.png", "palette.png"):
        with pytest.raises(MaskError) as caught:
            load_mask(tmp_path / name)
        classes = ast.literal_eval(re.search(r"classes=(\[.*?\])", str(caught.value)).group(1))
        assert len(classes) == names
        assert np.array_equal(np.array(load_mask(tmp_path / name, classes)), pixels)


def test_many_labels_are_counted_where_their_names_would_fill_the_message(tmp_path):
    Image.fromarray(np.resize(np.array([0, 7, 18], np.uint8), (HEIGHT, WIDTH))).save(tmp_path / "grey.png")
    with pytest.raises(MaskError, match="and so on, 19 names"):
        load_mask(tmp_path / "grey.png")
