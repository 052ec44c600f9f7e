import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from seglib.data.file_kinds import PictureFile, unread_kind
from seglib.data.image_io import (
    IGNORE_INDEX,
    IMAGE_EXTENSIONS,
    UNREAD_EXTENSIONS,
    check_classes,
    exif_orientation,
    load_image,
    load_image_tensor,
    load_mask,
    to_rgb_image,
)
from seglib.data.mask_faults import MaskSource
from seglib.data.mask_values import AS_STORED, labels_of
from seglib.errors import ImageError, MaskError
from tests.support.helpers import HEIGHT, WIDTH, binary_mask, photograph, refused
from tools.proofs.fuzz import png_bytes, tiff_bytes

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
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is a text", "it is a text"),
        ("é".encode() * 300, "it is a text"),
        (b"\x00" * 500, "zeros"),
        (b"\x01\x02\x03" * 50, "no picture format"),
        (b"<html>404</html>", "web page"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><p>Please log in", "Download the picture itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"%PDF-1.7 ....", "a PDF"),
        (b"PK\x03\x04....", "a zip"),
        (b"\xff\xd8\xff", "cannot be read"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path, load, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    with refused(
        ImageError, tmp_path, f"{tmp_path.name}/a.jpg", f"{len(content)} bytes", "cannot be read as a picture", words
    ):
        load(tmp_path / "a.jpg")


def ftyp(brand: bytes, others: bytes = b"") -> bytes:
    return (16 + len(others)).to_bytes(4, "big") + b"ftyp" + brand + b"\0\0\0\0" + others + b"\0" * 300


@BOTH
@pytest.mark.parametrize("ending", ["jpg", "png", "heic", "tif"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ftyp(b"heic", b"mif1heic"), "HEIC"),
        (ftyp(b"mif1", b"mif1heic"), "HEIC"),
        (ftyp(b"heix"), "HEIC"),
        (ftyp(b"MiHE", b"miafheic"), "HEIC"),
        (ftyp(b"crx "), "raw file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 50, "JPEG XL"),
        (b"\xff\x0a" + b"\x11" * 50, "JPEG XL"),
        (b"8BPS\0\x01" + b"\0" * 50, "layers"),
        (b"\x93NUMPY\x01\0", "array"),
        (b"\0" * 128 + b"DICM" + b"\0" * 40, "DICOM"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "lines"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "lines"),
        (b"SIMPLE  =                    T" + b" " * 50, "more than 8 bits"),
    ],
)
def test_a_kind_that_is_not_read_is_called_by_its_real_name(tmp_path, load, content, words, ending):
    (tmp_path / f"a.{ending}").write_bytes(content)
    with refused(ImageError, tmp_path, f"{tmp_path.name}/a.{ending}", words) as _:
        load(tmp_path / f"a.{ending}")
    with pytest.raises(ImageError) as caught:
        load(tmp_path / f"a.{ending}")
    assert "Copy or download" not in str(caught.value)


def test_heic_is_told_how_to_be_converted(tmp_path):
    (tmp_path / "IMG_0001.jpg").write_bytes(ftyp(b"heic", b"mif1heic"))
    with refused(ImageError, tmp_path, "is a HEIC photograph", "Convert it to JPEG"):
        load_image(tmp_path / "IMG_0001.jpg")
    assert "HEIC" in unread_kind("a/b.HEIC").found
    assert unread_kind("a/b.jpg") is None


def test_an_ending_is_read_or_refused_by_name_and_never_both():
    assert not IMAGE_EXTENSIONS & UNREAD_EXTENSIONS
    assert {".jpg", ".png", ".tif", ".gif", ".webp", ".jp2", ".jfif", ".ppm", ".tga"} <= IMAGE_EXTENSIONS
    assert {".heic", ".dng", ".jxl", ".dcm", ".npy", ".svg", ".psd", ".nii"} <= UNREAD_EXTENSIONS


def test_what_pillow_opens_is_known_by_its_ending():
    Image.init()
    no_pictures = {"MPEG", "IPTC", "GRIB", "BUFR", "HDF5", "PDF"}
    for ending, kind in Image.registered_extensions().items():
        if kind in Image.OPEN and kind not in no_pictures:
            assert ending in IMAGE_EXTENSIONS | UNREAD_EXTENSIONS, f"{ending} of {kind} would be dropped in silence"
    for ending in IMAGE_EXTENSIONS - {".avif", ".avifs", ".pfm", ".qoi"}:  # those that an older Pillow may lack
        assert ending in Image.registered_extensions()


WRITABLE = {
    "png": {}, "tif": {}, "bmp": {}, "dib": {}, "gif": {}, "jp2": {"irreversible": False}, "ppm": {}, "pcx": {},
    "tga": {}, "sgi": {}, "webp": {"lossless": True}, "ico": {"sizes": [(64, 48)]}, "jpg": {"quality": 100},
}  # fmt: skip


@pytest.mark.parametrize("ending", WRITABLE)
def test_every_kind_is_read_whatever_its_file_is_called(tmp_path, ending):
    photograph().save(tmp_path / f"a.{ending}", **WRITABLE[ending])
    seen = np.array(load_image(tmp_path / f"a.{ending}"))
    assert seen.shape == (HEIGHT, WIDTH, 3)
    if ending not in ("gif", "jpg"):  # these change colours when they are written
        assert np.array_equal(seen, np.array(photograph()))
    if ending != "tga":  # which has no signature
        other = tmp_path / ("b.png" if ending == "jpg" else "b.jpg")
        (tmp_path / f"a.{ending}").rename(other)
        assert np.array_equal(np.array(load_image(other)), seen)


# What Pillow would drop


def photograph_of_12_bits() -> np.ndarray:
    return np.array(photograph()).astype(np.uint16) * 16


@pytest.mark.parametrize("bands", [3, 4])
def test_16_bits_in_colour_are_refused_in_png_and_tiff(tmp_path, bands):
    deep = photograph_of_12_bits()
    deep = np.dstack([deep, np.full((HEIGHT, WIDTH), 65535, np.uint16)])[..., :bands]
    (tmp_path / "a.png").write_bytes(png_bytes(deep, bits=16))
    (tmp_path / "a.tif").write_bytes(tiff_bytes(deep, colours=2, extra=[2] if bands == 4 else None))
    (tmp_path / "planes.tif").write_bytes(tiff_bytes(deep, colours=2, extra=[2] if bands == 4 else None, planar=2))
    for path in tmp_path.iterdir():
        with Image.open(path) as opened:
            assert opened.mode.startswith("RGB")  # Pillow says nothing
        with refused(ImageError, tmp_path, f"/{path.name}", "8 bits a channel", "16 bits"):
            load_image(path)
        with refused(MaskError, tmp_path, f"/{path.name}", "16 bits"):
            load_mask(path)


@pytest.mark.parametrize("name", ["a.ppm", "a.sgi", "a.jp2", "float.tif", "64.tif"])
def test_more_than_8_bits_are_refused_in_other_kinds_too(tmp_path, name):
    path, deep = tmp_path / name, photograph_of_12_bits()
    if name == "a.ppm":
        path.write_bytes(b"P6 # a comment\n64 48\n4095\n" + (deep // 1).astype(">u2").tobytes())
    elif name == "a.sgi":
        head = struct.pack(">HBBHHHH", 474, 0, 2, 3, WIDTH, HEIGHT, 3).ljust(512, b"\0")
        path.write_bytes(head + deep.transpose(2, 0, 1).astype(">u2").tobytes())
    elif name == "a.jp2":
        photograph().save(path)
        data = bytearray(path.read_bytes())
        place = data.find(b"\xff\x4f\xff\x51")
        for band in range(3):
            data[place + 42 + 3 * band] = 11  # 12 bits
        path.write_bytes(data)
    else:
        path.write_bytes(tiff_bytes(deep.astype(np.float32 if name == "float.tif" else np.uint64), colours=2))
    with refused(ImageError, tmp_path, f"/{name}", "8 bits a channel"):
        load_image(path)


@BOTH
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize(
    ("bands", "tags"),
    [
        (4, (2, [0])),
        (5, (2, [0, 0])),
        (4, (2, None)),
        (5, (2, [2, 0])),
        (4, (1, None)),
        (4, (1, [0, 0, 0])),
        (8, (1, None)),
        (2, (1, [0])),
    ],
)
def test_more_bands_than_three_are_refused_and_counted(tmp_path, load, planar, bands, tags):
    picture = np.arange(HEIGHT * WIDTH * bands, dtype=np.uint8).reshape(HEIGHT, WIDTH, bands)
    (tmp_path / "a.tif").write_bytes(tiff_bytes(picture, colours=tags[0], extra=tags[1], planar=planar))
    with refused(ImageError, tmp_path, "/a.tif", f"{bands} bands"):
        load(tmp_path / "a.tif")


@pytest.mark.parametrize("planar", [1, 2])
def test_an_rgb_tiff_and_one_with_opaque_alpha_are_read(tmp_path, planar):
    picture = np.array(photograph())
    (tmp_path / "a.tif").write_bytes(tiff_bytes(picture, colours=2, planar=planar))
    assert np.array_equal(np.array(load_image(tmp_path / "a.tif")), picture)
    opaque = np.dstack([picture, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    (tmp_path / "b.tif").write_bytes(tiff_bytes(opaque, colours=2, extra=[2], planar=planar))
    assert np.array_equal(np.array(load_image(tmp_path / "b.tif")), picture)
    opaque[3, 3, 3] = 0
    (tmp_path / "c.tif").write_bytes(tiff_bytes(opaque, colours=2, extra=[2], planar=planar))
    with refused(ImageError, tmp_path, "partly transparent", "infrared"):
        load_image(tmp_path / "c.tif")


def tiff_of_pages(path, pages) -> None:
    """`pages` are (picture, NewSubfileType)."""
    with TiffImagePlugin.AppendingTiffWriter(str(path), True) as out:
        for picture, kind in pages:
            info = TiffImagePlugin.ImageFileDirectory_v2()
            if kind is not None:
                info[254] = kind
            picture.save(out, format="TIFF", tiffinfo=info)
            out.newFrame()


@pytest.mark.parametrize("order", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_of_a_tiff_with_overviews_the_full_picture_is_read(tmp_path, order):
    small = iter([(32, 24), (16, 12)])
    pages = [(photograph() if kind == 0 else photograph().resize(next(small)), kind) for kind in order]
    tiff_of_pages(tmp_path / "a.tif", pages)
    assert np.array_equal(np.array(load_image(tmp_path / "a.tif")), np.array(photograph()))
    masks = [(page.convert("L").point(lambda value: 255 * (value > 99)), kind) for page, kind in pages]
    tiff_of_pages(tmp_path / "m.tif", masks)
    full = next(mask for mask, kind in masks if kind == 0)
    assert np.array_equal(np.array(load_mask(tmp_path / "m.tif")), np.array(full))


@BOTH
@pytest.mark.parametrize("kind", [None, 0, 2])
def test_a_tiff_of_real_pages_is_refused(tmp_path, load, kind):
    tiff_of_pages(tmp_path / "a.tif", [(photograph(), kind), (photograph(1), kind)])
    with refused(ImageError, tmp_path, "/a.tif", "holds 2 pictures"):
        load(tmp_path / "a.tif")


def test_a_tiff_with_a_page_of_transparency_or_previews_alone_is_refused(tmp_path):
    tiff_of_pages(tmp_path / "a.tif", [(photograph(), 0), (binary_mask().convert("1"), 4)])
    with refused(ImageError, tmp_path, "/a.tif", "transparent"):
        load_image(tmp_path / "a.tif")
    tiff_of_pages(tmp_path / "b.tif", [(photograph(), 1)])  # as in DNG and NEF, whose picture lies elsewhere
    with refused(ImageError, tmp_path, "/b.tif", "raw file"):
        load_image(tmp_path / "b.tif")


@BOTH
@pytest.mark.parametrize("ending", ["gif", "webp", "png", "apng", "tif"])
def test_animated_files_are_refused_and_those_of_one_picture_are_read(tmp_path, load, ending):
    frames = [binary_mask(), binary_mask(1)]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], lossless=True)
    with refused(ImageError, tmp_path, f"/a.{ending}", "holds 2 pictures"):
        load(tmp_path / f"a.{ending}")
    frames[0].save(tmp_path / f"b.{ending}", save_all=True, lossless=True)
    assert np.array_equal(np.array(load(tmp_path / f"b.{ending}").convert("L")), np.array(frames[0]))


def test_a_picture_of_a_phone_that_holds_a_second_one_is_read(tmp_path):
    photograph().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[photograph(1)])
    assert load_image(tmp_path / "a.jpg").size == (WIDTH, HEIGHT)


def test_lab_colours_are_refused_and_cmyk_is_read(tmp_path):
    Image.merge("LAB", photograph().split()).save(tmp_path / "a.tif")
    with refused(ImageError, tmp_path, "/a.tif", "Lab"):
        load_image(tmp_path / "a.tif")
    photograph().convert("CMYK").save(tmp_path / "b.tif")
    assert np.array_equal(np.array(load_image(tmp_path / "b.tif")), np.array(photograph()))


def test_a_palette_with_an_opaque_transparency_table_is_read(tmp_path):
    picture = photograph().quantize(16)
    picture.save(tmp_path / "a.png", transparency=bytes([255] * 16))
    assert np.array_equal(np.array(load_image(tmp_path / "a.png")), np.array(picture.convert("RGB")))


@BOTH
def test_a_label_that_has_changed_on_the_way_is_found_by_its_checksum(tmp_path, load):
    rng = np.random.default_rng(0)
    Image.fromarray(255 * rng.integers(0, 2, (HEIGHT, WIDTH), np.uint8)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for place in range(16, len(whole) - 12, 11):
        damaged = bytearray(whole)
        damaged[place] ^= 8
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(ImageError):
            load(tmp_path / "a.png")


# Very large pictures


def giant(path, side=13400) -> None:
    """A black PNG of one bit a pixel, 180 million pixels in a few kilobytes."""
    rows = zlib.compress((b"\0" + b"\0" * ((side + 7) // 8)) * side)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    data = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))


@pytest.mark.parametrize("load", [load_image, load_mask, load_image_tensor, to_rgb_image])
def test_a_giant_is_refused_with_the_argument_that_allows_it(tmp_path, load):
    giant(tmp_path / "a.png")
    with refused(ImageError, tmp_path, "/a.png", "179,560,000", "max_pixels=179560000"):
        load(tmp_path / "a.png")
    with refused(ImageError, tmp_path, "at most 1,000 pixels"):
        load(tmp_path / "a.png", max_pixels=1000)


def test_a_giant_is_read_where_it_is_allowed_and_nothing_is_left_allowed(tmp_path):
    giant(tmp_path / "a.png")
    limit = Image.MAX_IMAGE_PIXELS
    assert load_mask(tmp_path / "a.png", max_pixels=179_560_000).size == (13400, 13400)
    assert limit == Image.MAX_IMAGE_PIXELS
    assert exif_orientation(tmp_path / "a.png") == 1
    with refused(ImageError, tmp_path, "max_pixels=179560000"):
        load_mask(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "bmp", "gif"])
def test_the_argument_allows_every_kind_by_itself(tmp_path, monkeypatch, ending):
    photograph().save(tmp_path / f"a.{ending}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # stands for a picture of more pixels than Pillow allows
    with refused(ImageError, tmp_path, f"max_pixels={WIDTH * HEIGHT}"):
        load_image_tensor(tmp_path / f"a.{ending}")
    assert load_image(tmp_path / f"a.{ending}", max_pixels=WIDTH * HEIGHT).size == (WIDTH, HEIGHT)
    assert load_image_tensor(tmp_path / f"a.{ending}", max_pixels=WIDTH * HEIGHT).shape == (3, HEIGHT, WIDTH)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_image(tmp_path / f"a.{ending}").size == (WIDTH, HEIGHT)


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
    with refused(MaskError, tmp_path, "/a.png", "only 0 and 255", "relabel={255: 1}"):
        load_mask(tmp_path / "a.png", CLASSES)


def test_a_palette_whose_greys_are_its_numbers_is_read(tmp_path):
    palette_mask([value for number in range(256) for value in [number] * 3], [0, 1, 2, 255]).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        assert stored.mode == "P"
    mask = load_mask(tmp_path / "a.png", CLASSES)
    assert mask.mode == "L"
    assert np.array_equal(np.array(mask), np.array(grey([0, 1, 2, 255])))


VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]
READ_TWICE = [[0, 0, 0, 2, 2, 2, 1, 1, 1], [255, 255, 255, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 3, 3, 3]]


@pytest.mark.parametrize("colours", [VOC, [0, 0, 0, 255, 255, 255, 128, 128, 128], [0, 0, 0, 1, 1, 1, 2, 2, 3]])
def test_with_classes_the_numbers_of_a_palette_are_the_labels(tmp_path, colours):
    palette_mask(colours).save(tmp_path / "a.png")
    assert np.array_equal(np.array(load_mask(tmp_path / "a.png", CLASSES)), np.array(grey([0, 1, 2])))


@pytest.mark.parametrize("colours", READ_TWICE)
def test_a_palette_whose_greys_are_other_labels_is_refused(tmp_path, colours):
    palette_mask(colours).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "palette", "two readings", 'palette={"#'):
        load_mask(tmp_path / "a.png", CLASSES)


@pytest.mark.parametrize(
    ("mode", "words"), [("CMYK", "CMYK"), ("LAB", "LAB"), ("F", "mode F"), ("YCbCr", "YCbCr"), ("HSV", "HSV")]
)
@pytest.mark.parametrize("classes", [None, CLASSES])
def test_a_mask_of_another_mode_is_refused_and_named(tmp_path, mode, words, classes):
    path = tmp_path / "a.tif"
    mask = binary_mask().convert("RGB") if mode in ("LAB", "HSV") else binary_mask()
    if mode == "LAB":
        mask = Image.merge("LAB", mask.split())
    elif mode == "HSV":
        with refused(MaskError, tmp_path, words, "8-bit mask of one channel", "PNG"):
            labels_of(mask.convert("HSV"), PictureFile(mask, "PNG"), MaskSource(path, classes), AS_STORED)
        return
    else:
        mask = mask.convert(mode)
    mask.save(path)
    with refused(MaskError, tmp_path, f"{tmp_path.name}/a.tif", words, "8-bit mask of one channel", "PNG"):
        load_mask(path, classes)


def test_values_between_0_and_255_are_refused_in_a_binary_mask(tmp_path):
    grey([0, 255, 7]).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "/a.png", "no labels: 7.", "0 (background) and 255 (object)", "classes="):
        load_mask(tmp_path / "a.png")


def test_labels_0_and_1_are_no_binary_mask(tmp_path):
    grey([0, 1]).save(tmp_path / "a.png")
    with refused(MaskError, tmp_path, "no labels: 1.", "relabel={1: 255}"):
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


# Names of classes


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("cell", ["one text", 'classes=["background", "cell"]']),
        ("background,cell", ["one text", 'classes=["background", "cell"]']),
        (["background,cell"], ["1 name", 'classes=["background", "cell"]']),
        (["cell"], ["1 name", 'classes=["background", "cell"]']),
        ([], ["0 name", 'classes=["background", "cell"]']),
        (["a", "b", "a"], ["a twice", 'classes=["a", "b"]']),
        (["a", ""], ["no name"]),
        (["a", 3], ["no name"]),
        ([str(n) for n in range(256)], ["256 names"]),
    ],
)
def test_names_that_cannot_be_right_are_refused(tmp_path, classes, words):
    with refused(MaskError, tmp_path, *words):
        check_classes(classes)


def test_a_mask_is_not_read_with_one_text_or_one_name(tmp_path):
    grey([0, 1]).save(tmp_path / "a.png")
    for classes in ("cell", ["cell"]):
        with refused(MaskError, tmp_path, 'classes=["background", "cell"]'):
            load_mask(tmp_path / "a.png", classes)


def test_right_names_are_returned_as_a_list():
    assert check_classes(None) is None
    assert check_classes(("background", "cell")) == ["background", "cell"]
