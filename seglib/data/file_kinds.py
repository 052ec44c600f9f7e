"""Owns which kinds of files are pictures, and what one file holds before it is decoded. Explained in 13_your_own_data.

Pillow is generous: of 16 bits it keeps 8, of five bands three, of several pages the first, all without a word. So the
depth, the bands and the pages are read from the file itself, and what would be lost is refused by its name.
"""

import contextlib
import importlib.util
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image

from seglib.errors import ImageError, SegError, name_of

if TYPE_CHECKING:  # else imported where the first TIFF is read
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

# The kinds that are read, by Pillow's names, each with its endings. A file's content decides, not its ending.
_READ = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "AVIF": (".avif", ".avifs"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "PCX": (".pcx",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "SUN": (".ras",),
    "QOI": (".qoi",),
    "ICO": (".ico",),
    "XBM": (".xbm",),
    "XPM": (".xpm",),
    "MSP": (".msp",),
    "PIXAR": (".pxr",),
}
_NO_SIGNATURE = ("TGA",)  # its first bytes fit many other files: tried only where the ending says so

# Kinds of pictures that are refused by name. Passing over them would drop them in silence.
_UNREAD = {
    "a HEIC photograph": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "an AVIF picture": (".avif", ".avifs"),
    "a JPEG XL picture": (".jxl",),
    "a JPEG XR picture": (".jxr", ".wdp", ".hdp"),
    "a camera's raw file": (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef"),
        *(".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ),
    "a medical picture (DICOM)": (".dcm", ".dicom"),
    "a medical volume": (".nii", ".mha", ".mhd", ".nrrd"),
    "a microscope's file": (".czi", ".lif", ".lsm", ".nd2", ".oib", ".oif", ".svs", ".ndpi"),
    "an array (NumPy, MATLAB or HDF5)": (".npy", ".npz", ".mat", ".h5", ".hdf", ".hdf5"),
    "a drawing of lines, not of pixels": (".svg", ".eps", ".ps", ".ai", ".wmf", ".emf"),
    "a picture in layers": (".psd", ".psb", ".xcf", ".kra", ".ora"),
    "a picture with more than 8 bits": (".exr", ".hdr", ".fits", ".fit"),
    "a satellite's or weather file": (".grib", ".bufr", ".jp2k", ".img", ".ecw", ".sid"),
    "a texture or an icon": (".dds", ".blp", ".ftc", ".ftu", ".gbr", ".cur", ".icns", ".astc", ".ktx"),
    "an animation": (".flc", ".fli", ".mng"),
    "several pages": (".dcx", ".djvu"),
    "an old kind of picture": (".pcd", ".im", ".iim", ".pict", ".pct", ".cin", ".dpx", ".pam"),
}
# The build of Pillow that is there may lack AVIF: asked without loading the decoder.
_HAS_AVIF = importlib.util.find_spec("PIL._avif") is not None

IMAGE_EXTENSIONS = frozenset(
    ending for kind, endings in _READ.items() for ending in endings if _HAS_AVIF or kind != "AVIF"
)
UNREAD_KINDS = {
    ending: kind for kind, endings in _UNREAD.items() for ending in endings if ending not in IMAGE_EXTENSIONS
}
UNREAD_EXTENSIONS = frozenset(UNREAD_KINDS)

_CONVERT = "Convert it: photographs to JPEG, masks to PNG. Or move it out of the folder."
_ANEW = "Copy or download the file again; if it was never a picture, move it out of the folder."
_HOW = {  # for what needs more words than _CONVERT
    "a HEIC photograph": "Convert it to JPEG: ImageMagick, pillow-heif or the phone's export do; a new name does not.",
    "a camera's raw file": "Develop it: a raw converter exports JPEG.",
    "a drawing of lines, not of pixels": "Draw it into a PNG of its photograph's size, without smoothed edges.",
    "a picture in layers": "Export what it shows as one layer: photographs to JPEG, masks to PNG.",
    "a web page (HTML)": "Download the picture itself: a page came in its place, perhaps one that asks to log in.",
    "a pointer of Git LFS, not the picture": "Fetch the pictures: git lfs pull, in their repository.",
}


@dataclass(frozen=True)
class PictureFile:
    """A decoded picture, as it is stored, and what its file says about it.

    Attributes:
        pixels: the picture, in whatever mode Pillow gave it, not yet upright.
        kind: Pillow's name of the file's kind, as "PNG".
        bits: of one channel, in the file.
        largest: number that stands for white in a file of grey values, or 0 where Pillow keeps the file's numbers.
        zero_is_white: the file's numbers count from white to black.
        lossy: compressed so that values change near edges.
    """

    pixels: Image.Image
    kind: str
    bits: int = 8
    largest: int = 0
    zero_is_white: bool = False
    lossy: bool = False


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into an `ImageError` that names the file; a `SegError` goes through as it is."""
    try:
        yield
    except SegError:
        raise
    except FileNotFoundError:
        raise ImageError(
            f'"{name_of(path)}" is no longer there.', "the file that was listed before", "Make the dataset again."
        ) from None
    except OSError as error:
        if error.errno is None:  # Pillow's own words about a damaged file
            raise _unreadable(path, str(error)) from error
        raise ImageError(
            f'"{name_of(path)}" cannot be opened: {error.strerror}.',
            "a file that you may read",
            "Look at its permissions, and whether its disk is there.",
        ) from error
    except Image.DecompressionBombError as error:  # of a part of the file, or before its size is known to us
        raise ImageError(
            f'"{name_of(path)}" has more pixels than Pillow opens in a file of this kind.',
            f"at most {default_limit() or 0:,} pixels",
            "Convert it to PNG or JPEG.",
        ) from error
    except Exception as error:  # Pillow raises many kinds, depending on the format and on where the damage is
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str, fix: str = _ANEW) -> ImageError:
    size = path.stat().st_size if path.exists() else 0
    short = reason.split(" '")[0].splitlines()[0][:120] if reason else "damaged"  # without the path that Pillow puts in
    what = "is empty (0 bytes)" if size == 0 else f"cannot be read as a picture ({size} bytes: {short})"
    return ImageError(f'"{name_of(path)}" {what}.', "a complete picture", fix)


def unread_kind(path: str | os.PathLike[str]) -> ImageError | None:
    """The error that says of which unread kind a file is, judged by its ending; None if the ending is not of one.

    Example:
        >>> print(unread_kind("photos/IMG_0001.HEIC").found)
        "photos/IMG_0001.HEIC" is a HEIC photograph, which seglib does not read.
    """
    kind = UNREAD_KINDS.get(Path(path).suffix.lower())
    return _of_unread_kind(Path(path), kind) if kind else None


def _of_unread_kind(path: Path, kind: str) -> ImageError:
    return ImageError(
        f'"{name_of(path)}" is {kind}, which seglib does not read.',
        "a picture as JPEG, PNG or TIFF, or of another common kind",
        _HOW.get(kind, _CONVERT),
    )


# One file


def open_picture(path: Path, max_pixels: int | None = None) -> PictureFile:
    """Decode one file to its last byte, so that a truncated file is found here and not as a grey patch in training.

    Call it inside `reading(path)`, which names the file in whatever goes wrong.

    Args:
        path: of the file.
        max_pixels: how many pixels it may have; None stands for what Pillow allows.

    Raises:
        ImageError: no picture, one of a kind that is not read, one of several pages or of more than three bands.
    """
    with path.open("rb") as file:
        picture = read_header(file, path)
        described = _describe(picture, file, path)  # of a TIFF this finds the full picture, after any small copies
        check_number_of_pixels(picture.size, path, max_pixels)
        if described.kind == "TIFF":
            _make_room(picture)
        picture.load()
    return described


def read_header(file: BinaryIO, path: Path) -> Image.Image:
    """The picture of an open file, before any pixel is decoded, recognised by its content.

    Not by `Image.open`: it refuses large pictures by a global number, which a process made anew does not inherit.
    """
    Image.init()
    start = file.read(512)
    reason = ""
    for kind in _READ:
        factory, accepts = Image.OPEN.get(kind, (None, None))
        if factory is None or not _may_be(kind, path, start, accepts):
            continue
        try:
            file.seek(0)
            return factory(file, "")  # without its name: Pillow would map the file, and crash if it changes later
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:
            reason = reason or str(error)
    raise _no_picture(path, start, reason, file)


def _may_be(kind: str, path: Path, start: bytes, accepts: object) -> bool:
    if kind in _NO_SIGNATURE and path.suffix.lower() not in _READ[kind]:
        return False
    return accepts(start[:16]) is True if callable(accepts) else True


def default_limit() -> int | None:
    """How many pixels a picture may have unless `max_pixels` says otherwise: where Pillow raises its own error."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else None


def check_number_of_pixels(size: tuple[int, int], path: Path, max_pixels: int | None) -> None:
    """Raise an `ImageError` that names `max_pixels` if a picture of this size, (width, height), is too large."""
    limit = default_limit() if max_pixels is None else max_pixels
    pixels = size[0] * size[1]
    if limit is not None and pixels > limit:
        raise ImageError(
            f'"{name_of(path)}" is {size[0]} wide and {size[1]} high, {pixels:,} pixels; '
            "a small file can be made to fill the memory.",
            f"at most {limit:,} pixels",
            f"If you know the file, allow it: max_pixels={pixels}. If not, throw it away.",
        )


def _make_room(picture: Image.Image) -> None:
    """Give a large TIFF its memory now: making it, Pillow would look at its global limit, and `max_pixels` is ours."""
    size = getattr(picture, "_tile_size", None)  # of all tiles together; not in an older Pillow, which does not look
    limit = Image.MAX_IMAGE_PIXELS
    if size and limit and size[0] * size[1] > limit and size[0] * size[1] <= 4 * picture.width * picture.height:
        picture.im = Image.new(picture.mode, size).im


def _describe(picture: Image.Image, file: BinaryIO, path: Path) -> PictureFile:
    """What the file says about its bits, bands and pages; raises an `ImageError` for what Pillow would drop."""
    kind = picture.format or ""
    start = _bytes_at(file, 0, 4096)
    if kind == "TIFF":
        return _describe_tiff(picture, file, path)
    frames = 1 if kind in ("MPO", "ICO") else getattr(picture, "n_frames", 1)  # MPO: a phone's JPEG
    if frames > 1:
        raise _several_pages(path, frames)
    if kind == "PNG":
        _check_png(file, path)
        grey = start[25] == 0 and start[24] < 8
        return PictureFile(picture, kind, bits=start[24], largest=2 ** start[24] - 1 if grey else 0)
    if kind == "JPEG2000":
        return _describe_jpeg2000(picture, file, path)
    if kind == "PPM":
        largest = _largest_of_ppm(start)
        return PictureFile(picture, kind, bits=16 if largest > 255 else 8, largest=largest)
    lossy = kind in ("JPEG", "MPO", "AVIF") or (kind == "WEBP" and b"VP8 " in start)
    return PictureFile(picture, kind, bits=_bits_in_header(kind, start), lossy=lossy)


def _bits_in_header(kind: str, start: bytes) -> int:
    """Bits of a channel where a kind has a place for them that Pillow passes over."""
    if kind == "SGI":
        return 8 * start[3]
    place = start.find(b"av1C") if kind == "AVIF" else -1
    return 10 if place >= 0 and start[place + 6] & 0x40 else 8  # of an AVIF: 10 or 12


def _bytes_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Some bytes of the file; its position stays where it is, for Pillow."""
    before = file.tell()
    file.seek(place)
    data = file.read(count)
    file.seek(before)
    return data


def _several_pages(path: Path, pages: int) -> ImageError:
    return ImageError(
        f'"{name_of(path)}" holds {pages} pictures: it is animated, or has several pages.',
        "one picture in a file",
        "Save each of them as a file of its own.",
    )


def more_than_8_bits(name: str, how: str) -> ImageError:
    """The error for a photograph with more than 8 bits a channel, of which Pillow would drop the rest or read none."""
    return ImageError(
        f"{name} has more than 8 bits a channel ({how}).",
        "a photograph with 8 bits a channel",
        "Export it with 8 bits a channel: cutting the bits off here would change its brightness in silence.",
    )


def _too_many_bands(path: Path, bands: int) -> ImageError:
    return ImageError(
        f'"{name_of(path)}" holds {bands} bands, and does not say that they are red, green and blue alone.',
        "red, green and blue, or grey alone",
        "Save the three bands that show the picture as an RGB file: here others would be dropped in silence.",
    )


def _check_png(file: BinaryIO, path: Path) -> None:
    """Raise an `ImageError` if a checksum of the file is wrong: Pillow looks at few of them, and a label may change."""
    before = file.tell()
    file.seek(8)
    while head := file.read(8):
        length, name = struct.unpack(">I4s", head.ljust(8, b"\0"))
        data = file.read(length)
        checksum = file.read(4)
        if len(checksum) == 4 and zlib.crc32(name + data) != int.from_bytes(checksum, "big"):
            raise _unreadable(path, f"a checksum is wrong, in its part {name.decode('ascii', 'replace')}")
        if name == b"IEND":
            break
    file.seek(before)


def _largest_of_ppm(start: bytes) -> int:
    """The number that stands for white, from the header of a PPM or PGM; 1 for a PBM, 0 if it cannot be read."""
    if start[:2] in (b"P1", b"P4"):
        return 1
    words = re.sub(rb"#[^\n]*\n", b" ", start).split(maxsplit=4)
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else 0


def _describe_jpeg2000(picture: Image.Image, file: BinaryIO, path: Path) -> PictureFile:
    start = _bytes_at(file, 0, 65536)
    place = start.find(b"\xff\x4f\xff\x51")  # where the picture begins; its size, its bands and their bits follow
    if place < 0:
        return PictureFile(picture, "JPEG2000", lossy=True)
    bands = int.from_bytes(start[place + 40 : place + 42], "big")
    depths = [(depth & 0x7F) + 1 for depth in start[place + 42 : place + 42 + 3 * bands : 3]]
    if bands > 4:
        raise _too_many_bands(path, bands)
    return PictureFile(picture, "JPEG2000", bits=max(depths, default=8), lossy=True)


# TIFF: bits, bands, pages and reduced copies stand in its directories, one for each picture in the file

_FULL, _REDUCED, _TRANSPARENCY = range(3)
_SUBFILE, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _OLD_SUBFILE, _EXTRA = 254, 258, 259, 262, 277, 255, 338
_BANDS_OF_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # grey, RGB, palette, CMYK, YCbCr, Lab


def _directories(file: BinaryIO) -> list["ImageFileDirectory_v2"]:
    """The directories of a TIFF, in order; at most a thousand, and each once: a damaged file may lead in a circle."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    before = file.tell()
    file.seek(0)
    header = file.read(8)
    if header[2:3] == b"+" or header[3:4] == b"+":  # a BigTIFF
        header += file.read(8)
    place = ImageFileDirectory_v2(header).next
    found: dict[int, ImageFileDirectory_v2] = {}
    while place and place not in found and len(found) < 1000:
        directory = ImageFileDirectory_v2(header)
        file.seek(place)
        directory.load(file)
        found[place] = directory
        place = directory.next
    file.seek(before)
    return list(found.values())


def _role(directory: "ImageFileDirectory_v2") -> int:
    """Whether a directory is of a full picture, of a reduced copy (an overview), or of transparency."""
    kind = directory.get(_SUBFILE, 0)
    if kind & 4:
        return _TRANSPARENCY
    return _REDUCED if kind & 1 or directory.get(_OLD_SUBFILE) == 2 else _FULL


def _describe_tiff(picture: Image.Image, file: BinaryIO, path: Path) -> PictureFile:
    directories = _directories(file)
    roles = [_role(directory) for directory in directories]
    if roles.count(_FULL) > 1:
        raise _several_pages(path, roles.count(_FULL))
    if _FULL not in roles:
        raise _of_unread_kind(path, "a camera's raw file")  # the pictures in view are small copies for a preview
    if _TRANSPARENCY in roles:
        raise ImageError(
            f'"{name_of(path)}" holds a second picture that says where it is transparent.',
            "a picture without transparency",
            "Save it without that mask, on a background of your choice.",
        )
    full = roles.index(_FULL)
    check_bands_of_tiff(directories[full], path)
    if full:
        picture.seek(full)
    tags = directories[full]
    bits = max(_as_tuple(tags.get(_BITS, 1)))
    largest = 2**bits - 1 if bits < 8 and tags.get(_COLOURS) in (0, 1) else 0
    zero_is_white = tags.get(_COLOURS) == 0
    lossy = tags.get(_COMPRESSION) in (6, 7)  # JPEG within the TIFF
    return PictureFile(picture, "TIFF", bits, largest, zero_is_white, lossy)


def check_bands_of_tiff(tags: "ImageFileDirectory_v2", path: Path) -> None:
    """Raise an `ImageError` unless the bands are those of its colours, with one for transparency at most."""
    samples = int(tags.get(_SAMPLES, 1))
    alpha = [kind for kind in _as_tuple(tags.get(_EXTRA, ())) if kind in (1, 2)]
    known = _BANDS_OF_COLOURS.get(tags.get(_COLOURS, -1), samples)
    if samples > known + len(alpha) or len(alpha) > 1:
        raise _too_many_bands(path, samples)


def _as_tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


# What a file is that is no picture


def _no_picture(path: Path, start: bytes, reason: str, file: BinaryIO) -> ImageError:
    """The error for a file that no reader takes: by its real name where its content tells it."""
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_unread_tiff(file, path)
    kind = _kind_of_content(start)
    if kind is None:
        return _unreadable(path, reason or _words_for_bytes(start))
    if kind in _UNREAD:
        return _of_unread_kind(path, kind)
    return _unreadable(path, f"it is {kind}", _HOW.get(kind, _ANEW))


def _check_unread_tiff(file: BinaryIO, path: Path) -> None:
    """Raise the `ImageError` that says why Pillow does not read a TIFF, where its first directory tells it."""
    try:
        tags = _directories(file)[0]
        bits = max(_as_tuple(tags.get(_BITS, 1)))
    except Exception:  # a damaged file: what Pillow said of it is told
        return
    check_bands_of_tiff(tags, path)
    if bits > 8:
        raise more_than_8_bits(f'"{name_of(path)}"', f"{bits} bits in a TIFF")


_CONTENTS = [  # (where, what stands there, what it is)
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"II\xbc", "a JPEG XR picture"),
    (0, b"8BPS", "a picture in layers"),
    (0, b"gimp xcf", "a picture in layers"),
    (0, b"%!PS", "a drawing of lines, not of pixels"),
    (0, b"\xc5\xd0\xd3\xc6", "a drawing of lines, not of pixels"),
    (0, b"\xd7\xcd\xc6\x9a", "a drawing of lines, not of pixels"),
    (40, b" EMF", "a drawing of lines, not of pixels"),
    (0, b"\x93NUMPY", "an array (NumPy, MATLAB or HDF5)"),
    (0, b"MATLAB 5", "an array (NumPy, MATLAB or HDF5)"),
    (0, b"\x89HDF", "an array (NumPy, MATLAB or HDF5)"),
    (128, b"DICM", "a medical picture (DICOM)"),
    (344, b"n+1\0", "a medical volume"),
    (0, b"v/1\x01", "a picture with more than 8 bits"),
    (0, b"#?RADIANCE", "a picture with more than 8 bits"),
    (0, b"SIMPLE  =", "a picture with more than 8 bits"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"IIU\0", "a camera's raw file"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"DDS ", "a texture or an icon"),
    (0, b"icns", "a texture or an icon"),
    (0, b"P7\n", "an old kind of picture"),
    (0, b"AT&TFORM", "several pages"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the picture"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "compressed with gzip"),
    (0, b"Rar!", "a rar archive"),
    (4, b"moov", "a video"),
    (8, b"AVI ", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\0\0\1\xba", "a video"),
]
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def _kind_of_content(start: bytes) -> str | None:
    """What a file is, by its first bytes; None if that is not known."""
    if start[4:8] == b"ftyp":
        return _kind_of_brand(start)
    for place, signature, kind in _CONTENTS:
        if start[place : place + len(signature)] == signature:
            return kind
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page (HTML)"
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "a drawing of lines, not of pixels"
    return None


def _kind_of_brand(start: bytes) -> str | None:
    """Of a file that begins as HEIC, AVIF, raw files of Canon and videos all do: what its brands say."""
    length = int.from_bytes(start[:4], "big")
    brands = start[8 : min(max(length, 12), len(start))]
    if b"avif" in brands or b"avis" in brands:
        return None if _HAS_AVIF else "an AVIF picture"  # None: damaged
    if brands[:4] in _HEIC_BRANDS or any(brand in brands for brand in _HEIC_BRANDS[:6]):
        return "a HEIC photograph"
    return "a camera's raw file" if brands[:4] == b"crx " else "a video"


def _words_for_bytes(start: bytes) -> str:
    """What unknown bytes look like: zeros, text, or nothing that is known."""
    if not start.strip(b"\0"):
        return "it holds nothing but zeros, as of a download that broke off"
    text = start[:400].decode("utf-8", "ignore")
    if len(text.encode()) > len(start[:400]) - 4 and all(letter.isprintable() or letter.isspace() for letter in text):
        return "it is a text"
    return "no picture format that Pillow knows"
