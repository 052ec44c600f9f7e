"""Owns the exercise checks of 01_dataset about files: pairs by stem, pictures the right way up."""

import itertools
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from seglib.lesson.checking import Attempt, NotYet, describe, describe_error, exercise


@exercise
def check_pair_by_stem(pair: Attempt) -> str:
    """Check `pair(image_names, mask_names)`: (image, mask) pairs sorted by image; ValueError for a file left alone."""
    _check_pairs(
        pair,
        ["b.jpg", "a.jpg", "c.jpeg"],
        ["c.png", "a.png", "b.png"],
        [("a.jpg", "a.png"), ("b.jpg", "b.png"), ("c.jpeg", "c.png")],
    )
    _check_pairs(
        pair,
        ["table.2.jpg", "table.1.jpg"],
        ["table.1.png", "table.2.png"],
        [("table.1.jpg", "table.1.png"), ("table.2.jpg", "table.2.png")],
    )
    _check_orphan(pair, ["a.jpg", "b.jpg", "c.jpg"], ["a.png", "c.png"], "b.jpg")
    _check_orphan(pair, ["a.jpg", "c.jpg"], ["a.png", "b.png", "c.png"], "b.png")
    _check_orphan(pair, ["a.jpg", "b.jpg"], ["a.png", "x.png"], "b.jpg")
    return "Each image has the mask of its stem, and a file left alone is named."


def _check_pairs(pair: Attempt, images: list[str], masks: list[str], wanted: list[tuple[str, str]]) -> None:
    given = f"{images} and {masks}"
    alone = f"nothing is missing among {given}, yet a file was taken for one left alone."
    if "table.1.jpg" in images:
        alone += " A stem ends at the last dot: Path('table.1.jpg').stem is 'table.1'."
    else:
        alone += " Compare stems, not whole names: Path('a.jpg').stem is 'a'."
    result = pair(list(images), list(masks), given=given, hints={ValueError: alone, KeyError: alone})
    got = _pairs(result)
    if got == wanted:
        return
    if not got:
        raise NotYet(
            f"no pairs came back for {given}. 'a.jpg' and 'a.png' share a stem, not a name: Path('a.jpg').stem."
        )
    if got == [(Path(image).stem, Path(mask).stem) for image, mask in wanted]:
        raise NotYet("these are stems. Give back the names, with their suffix: we have to open the files.")
    if sorted(got) == sorted((mask, image) for image, mask in wanted):
        raise NotYet("image and mask are exchanged: the image comes first.")
    if sorted(got) == sorted(wanted):
        raise NotYet("the pairs are right, but not sorted by image name. Folders list their files in any order.")
    wrong = next((p for p in got if p not in wanted), None)
    if wrong is None:
        raise NotYet(f"{len(got)} of {len(wanted)} pairs came back for {given}. A stem ends at the last dot.")
    why = "A stem ends at the last dot: Path('table.1.jpg').stem." if "." in Path(wrong[0]).stem else "Pair by stem."
    raise NotYet(f"{wrong[0]!r} was paired with {wrong[1]!r}. {why}")


def _check_orphan(pair: Attempt, images: list[str], masks: list[str], orphan: str) -> None:
    given = f"{images} and {masks}"
    try:
        got = _pairs(pair.raw(list(images), list(masks)))
    except NotYet:
        raise
    except ValueError as error:
        if orphan in str(error) or Path(orphan).stem in str(error).replace("'", " ").replace(",", " ").split():
            return
        raise NotYet(
            f"{orphan!r} is left alone, and the ValueError does not name it: {describe_error(error)}. A reader "
            "with 5,000 files has to know which one."
        ) from None
    except Exception as error:
        raise NotYet(
            f"{orphan!r} is left alone in {given}, and pair stopped with {describe_error(error)}. Raise a "
            "ValueError that says so and names it."
        ) from None
    mixed = next((p for p in got if Path(p[0]).stem != Path(p[1]).stem), None)
    if mixed:
        raise NotYet(
            f"{orphan!r} is left alone in {given}, and {mixed[0]!r} was paired with {mixed[1]!r}, by position, "
            "without an error. Pair by stem, and raise a ValueError that names the file left alone."
        )
    raise NotYet(f"{orphan!r} is left alone in {given} and was left out in silence. Raise a ValueError that names it.")


def _pairs(result: Any) -> list[tuple[str, str]]:
    try:
        return [(str(image), str(mask)) for image, mask in itertools.islice(result, 100)]
    except Exception:
        raise NotYet(f"a list of (image, mask) pairs is expected; this is {describe(result)}.") from None


@exercise
def check_upright(open_upright: Attempt) -> str:
    """Check `open_upright(path)`: a path in, a PIL image as people see it out: EXIF applied, mode RGB."""
    turned = _try_picture(open_upright, "JPEG", 6)
    if turned.size == (32, 16):
        raise NotYet(
            "a portrait photograph comes back 32 wide and 16 high. Its EXIF data says how to turn it: "
            "ImageOps.exif_transpose(image) does."
        )
    if turned.size != (16, 32):
        raise NotYet(
            f"a photograph 16 wide and 32 high came back {turned.width} wide and {turned.height} high. Only turn it."
        )
    if not _is_red(turned, (8, 4)):
        raise NotYet("the photograph stands on its head: turned the wrong way. ImageOps.exif_transpose knows which.")
    plain = _try_picture(open_upright, "JPEG", None)
    if plain.size != (32, 16) or not _is_red(plain, (4, 8)):
        raise NotYet("a photograph without an orientation in its EXIF data was turned too. Turn only what says so.")
    half = _try_picture(open_upright, "JPEG", 3)
    if half.size != (32, 16) or not _is_red(half, (28, 8)):
        raise NotYet("EXIF orientation 3, half a turn, is not handled. ImageOps.exif_transpose knows all eight.")
    for picture in (_try_picture(open_upright, "PNG", None, "L"), turned):
        if picture.mode != "RGB":
            raise NotYet(
                f"a picture came back in mode {picture.mode}. The model wants three channels: .convert('RGB')."
            )
    return "Upright, in RGB, and only what asked to be turned was turned."


def _try_picture(open_upright: Attempt, kind: str, orientation: int | None, mode: str = "RGB") -> Image.Image:
    """Store a picture, red at its left and blue at its right, and have it opened."""
    stored = Image.new("RGB", (32, 16), (0, 0, 200))
    stored.paste((200, 0, 0), (0, 0, 16, 16))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    # A reader's picture may still hold its file open, and Windows removes no open file.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"photo.{kind.lower()}"
        stored.convert(mode).save(path, kind, exif=exif, quality=95)
        opened = open_upright(path, given=f"the path of a {kind} file")
        if not isinstance(opened, Image.Image):
            raise NotYet(f"a PIL image is expected; this is {describe(opened)}.")
        try:
            opened.load()
        except Exception:
            raise NotYet("the picture was closed before its pixels were read: convert it inside the with.") from None
        return opened


def _is_red(picture: Image.Image, place: tuple[int, int]) -> bool:
    red, _, blue = picture.convert("RGB").getpixel(place)  # type: ignore[misc]
    return red > blue
