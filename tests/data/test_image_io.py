import numpy as np
import pytest
from PIL import Image

from seglib.data.image_io import IGNORE_INDEX, load_image, load_mask
from seglib.errors import ImageError, MaskError
from tests.support.helpers import HEIGHT, WIDTH, binary_mask, photograph, refused

CLASSES = ["background", "apple", "lemon", "banana"]
ORIENTATION = 0x0112
UPRIGHT = {  # what an orientation says about the stored pixels, written out by hand
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),  # a quarter turn clockwise
    7: lambda stored: np.swapaxes(stored[::-1, ::-1], 0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def grey(values, mode="L") -> Image.Image:
    """A mask of HEIGHT x WIDTH whose values are spread over its columns."""
    columns = np.resize(np.array(values, np.uint8), WIDTH)
    return Image.fromarray(np.tile(columns, (HEIGHT, 1))).convert(mode)


def palette_mask(colours, values=(0, 1, 2)) -> Image.Image:
    mask = grey(values)
    picture = Image.frombytes("P", mask.size, mask.tobytes())
    picture.putpalette(colours)
    return picture


# Images


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_every_exif_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"a.{suffix}"
    photograph().save(path)
    stored = np.array(Image.open(path))
    photograph().save(path, exif=exif(orientation))
    seen = np.array(load_image(path))
    assert np.array_equal(seen, UPRIGHT[orientation](stored))
    assert seen.shape == ((HEIGHT, WIDTH, 3) if orientation < 5 else (WIDTH, HEIGHT, 3))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_mask_that_carries_an_orientation_is_turned_too(tmp_path, orientation):
    binary_mask().save(tmp_path / "a.png", exif=exif(orientation))
    seen = np.array(load_mask(tmp_path / "a.png"))
    assert np.array_equal(seen, UPRIGHT[orientation](np.array(binary_mask())))


def test_an_upright_image_carries_no_orientation_on(tmp_path):
    photograph().save(tmp_path / "a.jpg", exif=exif(6))
    assert ORIENTATION not in load_image(tmp_path / "a.jpg").getexif()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "YCbCr", "RGBA", "LA"])
def test_every_ordinary_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    photograph().convert(mode).save(path)
    image = load_image(path)
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    if mode == "RGBA":
        assert np.array_equal(np.array(image), np.array(photograph()))
    if mode == "L":
        assert np.array_equal(np.array(image)[..., 1], np.array(photograph().convert("L")))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "L"])
def test_an_image_with_transparent_places_is_refused(tmp_path, kind):
    picture, options = photograph(), {}
    if kind in ("RGBA", "LA"):
        picture = picture.convert(kind)
        alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
        alpha[5, 5] = 254  # a single pixel is enough
        picture.putalpha(Image.fromarray(alpha))
    else:
        picture = picture.convert(kind)
        options["transparency"] = picture.getpixel((0, 0))
    picture.save(tmp_path / "a.png", **options)
    with refused(ImageError, tmp_path, "/a.png", "partly transparent"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_an_image_of_more_than_8_bits_is_refused(tmp_path, mode):
    values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    Image.fromarray(values.astype(dtype)).save(tmp_path / "a.tif")
    with refused(ImageError, tmp_path, "/a.tif", "8 bits", mode):
        load_image(tmp_path / "a.tif")


# Files that are no pictures, for images and masks alike

BOTH = pytest.mark.parametrize("load", [load_image, load_mask])


@BOTH
def test_an_empty_file_is_refused(tmp_path, load):
    (tmp_path / "a.jpg").write_bytes(b"")
    with refused(ImageError, tmp_path, f"{tmp_path.name}/a.jpg", "empty (0 bytes)"):
        load(tmp_path / "a.jpg")


@BOTH
@pytest.mark.parametrize("content", [b"this is a text", b"\x00" * 500, b"<html>404</html>", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_refused(tmp_path, load, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with refused(
        ImageError, tmp_path, f"{tmp_path.name}/a.jpg", f"{len(content)} bytes", "cannot be read as a picture"
    ):
        load(tmp_path / "a.jpg")


@BOTH
def test_a_file_that_went_away_is_named(tmp_path, load):
    with refused(ImageError, tmp_path, f"{tmp_path.name}/gone.png", "no longer there"):
        load(tmp_path / "gone.png")


@BOTH
def test_a_file_in_the_working_folder_is_named_without_a_slash(tmp_path, monkeypatch, load):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with refused(ImageError, tmp_path, '"a.png" is empty'):
        load("a.png")


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_truncated_jpeg_is_refused(tmp_path, share):
    path = tmp_path / "a.jpg"
    photograph().save(path, quality=92)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with refused(ImageError, tmp_path, "/a.jpg", f"{int(share * len(whole))} bytes"):
        load_image(path)


@pytest.mark.parametrize(("suffix", "options"), [("jpg", {}), ("jpg", {"progressive": True}), ("png", {}), ("bmp", {})])
def test_a_file_cut_anywhere_is_refused_or_gives_exactly_the_whole_picture(tmp_path, suffix, options):
    path = tmp_path / f"a.{suffix}"
    photograph(height=24, width=32).save(path, **options)
    whole, pixels = path.read_bytes(), load_image(path).tobytes()
    wrong, read = [], []
    for length in range(0, len(whole), 3 if suffix == "jpg" else 31):
        path.write_bytes(whole[:length])
        try:
            seen = load_image(path).tobytes()
        except ImageError:
            continue
        read.append(length)
        if seen != pixels:
            wrong.append(length)
    assert wrong == []
    assert all(length > 0.9 * len(whole) for length in read)


@BOTH
@pytest.mark.parametrize("damage", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\x7f", b"Exif\x00\x00MM"])
def test_damaged_exif_is_no_crash(tmp_path, load, damage):
    picture = grey([0, 255])
    picture.save(tmp_path / "a.jpg", exif=damage, quality=100)
    try:
        assert load(tmp_path / "a.jpg").size == (WIDTH, HEIGHT)
    except (ImageError, MaskError) as error:
        assert "a.jpg" in str(error)  # noqa: PT017 - either is right, a bare SyntaxError is not


def test_a_picture_too_large_to_be_true_is_refused(tmp_path, monkeypatch):
    photograph().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with refused(ImageError, tmp_path, "/a.png"):
        load_image(tmp_path / "a.png")


# Masks


def test_a_binary_mask_keeps_the_values_of_its_file(tmp_path):
    binary_mask().save(tmp_path / "a.png")
    mask = load_mask(tmp_path / "a.png")
    assert mask.mode == "L"
    assert np.array_equal(np.array(mask), np.array(binary_mask()))


def test_a_mask_of_class_labels_keeps_them_and_255(tmp_path):
    grey([0, 1, 2, 3, IGNORE_INDEX]).save(tmp_path / "a.png")
    mask = load_mask(tmp_path / "a.png", CLASSES)
    assert mask.mode == "L"
    assert np.array_equal(np.array(mask), np.array(grey([0, 1, 2, 3, IGNORE_INDEX])))


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_of_one_value_alone_is_a_mask(tmp_path, value):
    grey([value]).save(tmp_path / "a.png")
    assert load_mask(tmp_path / "a.png").getextrema() == (value, value)


def test_a_one_bit_mask_is_read_as_0_and_255_but_holds_no_classes(tmp_path):
    binary_mask().convert("1").save(tmp_path / "a.png")
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png")), np.array(binary_mask()))
    with refused(MaskError, tmp_path, "/a.png", "one bit"):
        load_mask(tmp_path / "a.png", CLASSES)


def test_a_palette_whose_greys_are_its_numbers_is_read(tmp_path):
    palette_mask([value for number in range(256) for value in [number] * 3], [0, 1, 2, 255]).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        assert stored.mode == "P"
    mask = load_mask(tmp_path / "a.png", CLASSES)
    assert mask.mode == "L"
    assert np.array_equal(np.array(mask), np.array(grey([0, 1, 2, 255])))


@pytest.mark.parametrize(
    "colours",
    [
        [0, 0, 0, 255, 0, 0, 0, 255, 0],  # as VOC: black, red, green
        [0, 0, 0, 255, 255, 255, 128, 128, 128],  # greys, but other greys than the numbers
        [0, 0, 0, 1, 1, 1, 2, 2, 3],  # nearly
    ],
)
def test_a_palette_that_reads_two_ways_is_refused(tmp_path, colours):
    palette_mask(colours).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "palette", "8-bit mask of one channel"):
        load_mask(tmp_path / "a.png", CLASSES)


@pytest.mark.parametrize(
    ("mode", "words"),
    [("RGB", "in colour"), ("RGBA", "alpha"), ("LA", "alpha"), ("CMYK", "CMYK"), ("I;16", "16 bits"), ("I", "mode I")],
)
@pytest.mark.parametrize("classes", [None, CLASSES])
def test_a_mask_of_another_mode_is_refused_and_named(tmp_path, mode, words, classes):
    path = tmp_path / "a.tif"
    if mode == "I;16":
        Image.fromarray(np.array(binary_mask()).astype(np.uint16)).save(path)
    else:
        binary_mask().convert(mode).save(path)
    with refused(MaskError, tmp_path, f"{tmp_path.name}/a.tif", words, "8-bit mask of one channel", "PNG"):
        load_mask(path, classes)


def test_a_16_bit_png_is_refused(tmp_path):
    Image.fromarray(np.array(binary_mask()).astype(np.uint16) * 257).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "16 bits"):
        load_mask(tmp_path / "a.png")


def test_values_between_0_and_255_are_refused_in_a_binary_mask(tmp_path):
    grey([0, 255, 7]).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "no labels: 7.", "0 (background) and 255 (object)", "classes="):
        load_mask(tmp_path / "a.png")


def test_labels_0_and_1_are_no_binary_mask(tmp_path):
    grey([0, 1]).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "no labels: 1."):
        load_mask(tmp_path / "a.png")


def test_labels_outside_the_classes_are_refused_and_counted(tmp_path):
    grey([0, 3, *range(4, 14), 254, 255]).save(tmp_path / "a.png")
    with refused(
        MaskError, tmp_path, "/a.png", "4, 5, 6, 7, 8, 9 and 5 more", "0 to 3 (background, apple, lemon, banana)", "255"
    ):
        load_mask(tmp_path / "a.png", CLASSES)


def test_a_single_wrong_pixel_is_found(tmp_path):
    mask = binary_mask()
    mask.putpixel((40, 30), 128)
    mask.save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "no labels: 128."):
        load_mask(tmp_path / "a.png")


def test_a_jpeg_mask_with_smeared_edges_is_told_to_become_a_png(tmp_path):
    binary_mask().save(tmp_path / "a.jpg", quality=80)
    with refused(MaskError, tmp_path, "/a.jpg", "no labels", "JPEG smears", "PNG"):
        load_mask(tmp_path / "a.jpg")


def test_a_truncated_mask_is_refused(tmp_path):
    binary_mask().save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with refused(ImageError, tmp_path, "/a.png"):
        load_mask(tmp_path / "a.png")
