"""Owns the exercise checks of 01_dataset: pairs by position and stem, labels, upright, the class mended, a tensor."""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from seglib.lesson.common.exercise import Attempt, NotYet, describe, describe_error, exercise, number, one_number

IMAGES_LEFT = ("0", "1", "2", "3", "4", "6", "7")  # the image of 5 is lost
MASKS_LEFT = ("0", "1", "3", "4", "5", "6", "7")  # the mask of 2 is lost


@exercise
def check_wrong_pairs(my_wrong_pairs: Attempt) -> str:
    """Check `my_wrong_pairs()`: how many pairs by position are wrong, after one mask and one image were lost."""
    answer = my_wrong_pairs(given="nothing")
    value = one_number(answer)
    pairs = list(zip(IMAGES_LEFT, MASKS_LEFT, strict=True))
    wrong = [(image, mask) for image, mask in pairs if image != mask]
    if value == len(wrong):
        counted = ", ".join(f"{image} with {mask}" for image, mask in wrong)
        return f"Counted: {counted}. These {len(wrong)} of {len(pairs)} are wrong, and zip is content."
    hints: dict[float, str] = {
        0: "the two lists are equally long, but that says nothing about what stands at one position.",
        2: "a lost file does more than spoil one pair: each pair between the two gaps is shifted.",
        4: "the image of 5 is lost, so no pair begins with 5. How many images are left between the two gaps?",
        5: "that is right as long as the image of 5 is there. What happens to the shift behind the second gap?",
        6: "write both lists side by side: which mask stands beside image 6?",
        7: "the first two pairs stand before any gap. Are they wrong?",
    }
    raise NotYet(
        hints.get(value) or f"yours is {value:g}, and there are {len(pairs)} pairs. Write both lists side by side."
    )


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


@exercise
def check_mended_dataset(mended: Attempt) -> str:
    """Check `MendedDataset(pairs)`: pairs of paths in; a length, upright pairs, a ValueError for another size out."""
    # A reader's picture may still hold its file open, and Windows removes no open file.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pairs = _stored_pairs(Path(folder))
        dataset = mended(pairs, given=f"{len(pairs)} pairs")
        _check_length(mended, dataset, pairs)
        image, mask = _get_pair(dataset, 0, "an image and its mask of one size")
        _check_picture(image, (32, 16), "the image of pair 0")
        _check_picture(mask, (32, 16), "the mask of pair 0")
        if image.mode == "L" and mask.mode == "RGB":
            raise NotYet("image and mask are exchanged: the image comes first.")
        if not np.array_equal(np.array(mask), np.array(Image.open(pairs[0][1]))):
            raise NotYet("the numbers of the mask have changed. Give the mask back as Image.open gives it.")
        image, mask = _get_pair(dataset, 1, "a portrait that is stored lying on its side, and its mask, which stands")
        if getattr(image, "size", None) == (32, 16):
            raise NotYet("a portrait comes back lying on its side: ImageOps.exif_transpose(image) turns it.")
        _check_picture(image, (16, 32), "the portrait")
        _check_picture(mask, (16, 32), "the mask of the portrait")
        if not _is_red(image, (8, 4)):
            raise NotYet("the portrait stands on its head: ImageOps.exif_transpose knows which way to turn.")
        _check_other_size(dataset, 2, "c_mask", "an image 32 wide and 16 high, and a mask 16 wide and 32 high")
        _check_other_size(dataset, 3, "d_mask", "a portrait stored lying on its side, and a mask that lies too")
    return "A length, pairs with the image upright, and an error that names a mask of another size."


def _stored_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Four pairs: a plain one; a portrait stored on its side; a mask that stands, and one that lies, wrongly."""
    lying = Image.Exif()
    lying[0x0112] = 6
    pairs = []
    for name, exif, size in (
        ("a", None, (32, 16)),
        ("b", lying, (16, 32)),
        ("c", None, (16, 32)),
        ("d", lying, (32, 16)),
    ):
        image_path = folder / f"{name}.jpg"
        mask_path = folder / f"{name}_mask.png"
        picture = Image.new("RGB", (32, 16), (0, 0, 200))
        picture.paste((200, 0, 0), (0, 0, 16, 16))
        picture.save(image_path, exif=exif or Image.Exif(), quality=95)
        mask = Image.new("L", size)
        mask.paste(255, (2, 3, 9, 11))
        mask.save(mask_path)
        pairs.append((image_path, mask_path))
    return pairs


def _check_length(mended: Attempt, dataset: Any, pairs: list[tuple[Path, Path]]) -> None:
    for given in (pairs, pairs[:1]):
        smaller = dataset if given is pairs else mended(given, given="1 pair")
        method = getattr(type(smaller), "__len__", None)
        if method is None:
            raise NotYet(f"an object with a length is expected; this is {describe(smaller)}. Write __len__.")
        length = Attempt(method)(smaller, given=f"a dataset of {len(given)} pairs")
        if number(length) != len(given):
            raise NotYet(f"__len__ gives {describe(length)}, and self.pairs holds {len(given)}. Give back its length.")


def _get_pair(dataset: Any, idx: int, given: str) -> tuple[Any, Any]:
    method = getattr(type(dataset), "__getitem__", None)
    if method is None:
        raise NotYet("dataset[0] asks for __getitem__, and there is none.")
    early = f"a good pair was refused: {given}. Turn the image first, then compare the sizes."
    result = Attempt(method)(dataset, idx, given=given, hints={ValueError: early})
    if not isinstance(result, tuple) or len(result) != 2:
        raise NotYet(f"__getitem__ gives back the tuple (image, mask); this is {describe(result)}.")
    return result


def _check_picture(picture: Any, size: tuple[int, int], what: str) -> None:
    if not isinstance(picture, Image.Image):
        raise NotYet(f"{what} is to be a PIL image; this is {describe(picture)}.")
    try:
        picture.load()
    except Exception:
        raise NotYet(f"{what} was closed before its pixels were read.") from None
    if picture.size != size:
        raise NotYet(f"{what} is {picture.size}, as (width, height); {size} is right. Only turn the image.")


def _check_other_size(dataset: Any, idx: int, stem: str, given: str) -> None:
    try:
        Attempt(type(dataset).__getitem__).raw(dataset, idx)
    except ValueError as error:
        if stem in str(error):
            return
        raise NotYet(f"the ValueError does not name the mask: {describe_error(error)}.") from None
    except Exception as error:
        raise NotYet(f"a ValueError is wanted, given {given}; this is {describe_error(error)}.") from None
    raise NotYet(f"no error, given {given}. Once the image is upright, the two sizes have to agree.")


@exercise
def check_mask_to_label(to_unit: Attempt) -> str:  # noqa: C901 - a flat list of typical mistakes, each with its hint
    """Check `to_unit(mask)`: a PIL mask of 0 and 255 in, a float32 tensor (1, H, W) of 0.0 and 1.0 out."""
    values = np.zeros((3, 4), np.uint8)
    values[1, 1:] = 255
    values[2, 3] = 255
    wanted = torch.from_numpy(values // 255).float().unsqueeze(0)  # (1, 3, 4)
    label = to_unit(Image.fromarray(values), given="a mask 4 wide and 3 high")
    if not isinstance(label, torch.Tensor):
        raise NotYet(f"a label is a tensor; this is {describe(label)}. torch.from_numpy turns an array into one.")
    shape = tuple(label.shape)
    if shape == (3, 4):
        raise NotYet(
            "the shape is (3, 4); the model's outputs have a channel, so ours is (1, 3, 4): add it by unsqueeze(0)."
        )
    if shape == (3, 4, 1):
        raise NotYet("the channel stands last, (3, 4, 1); in torch it stands first: (1, 3, 4).")
    if shape == (1, 4, 3):
        raise NotYet("height and width are exchanged: PIL says (width, height), a tensor (1, height, width).")
    if shape != (1, 3, 4):
        raise NotYet(f"a mask 4 wide and 3 high is to give the shape (1, 3, 4); this is {shape}.")
    top = label.double().max().item()
    if top > 1.5:
        raise NotYet(f"the largest value is still {top:g}. The fruit is to be 1.0: divide by 255.")
    if 0 < top < 0.01:
        raise NotYet(f"the largest value is {top:.5f}: divided by 255 twice. ToTensor divides already.")
    if torch.equal(label.double(), 1 - wanted.double()):
        raise NotYet("fruit and background are exchanged: 255 is fruit and becomes 1.0.")
    if not torch.allclose(label.double(), wanted.double()):
        raise NotYet("some values are wrong: 0 stays 0.0, 255 becomes 1.0, and nothing moves.")
    if label.dtype != torch.float32:
        name = str(label.dtype).removeprefix("torch.")
        raise NotYet(
            f"the values are right, but of dtype {name}. The outputs are float32, and a loss compares like with "
            "like: call .float()."
        )
    return "One channel, float32, 0.0 and 1.0."


@exercise
def check_count_labels(count_labels: Attempt) -> str:  # noqa: C901 - a flat list of typical mistakes, each with its hint
    """Check `count_labels(mask)`: a PIL mask in, a dict {value: number of pixels} of the values that occur out."""
    values = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [3, 255, 255, 0]], np.uint8)
    wanted = {0: 5, 1: 4, 3: 1, 255: 2}
    counts = count_labels(Image.fromarray(values), given="a mask of 12 pixels")
    if isinstance(counts, list | tuple) and {tuple(p) for p in counts if isinstance(p, tuple)} >= {(5, 0), (4, 1)}:
        raise NotYet("getcolors lists (count, value). Turn each into a key and its value: {value: count}.")
    if not isinstance(counts, dict):
        raise NotYet(f"a dict {{value: number of pixels}} is expected; this is {describe(counts)}.")
    keys = list(counts)
    if any(isinstance(key, str) for key in keys):
        raise NotYet("the keys are text. A label value is a number: 255, not '255'.")
    if any(isinstance(key, tuple) for key in keys):
        raise NotYet(
            "the keys are colours: the mask became RGB on the way. Its numbers are the labels, so leave its mode."
        )
    if any(isinstance(key, torch.Tensor) for key in keys):
        raise NotYet("the keys are tensors, and no two tensors are one key. Take the number out: value.item().")
    plain: dict[float, float] = {}
    for key, count in counts.items():
        value = number(key)
        pixels = number(count)
        if value is None or pixels is None:
            raise NotYet("keys and values are to be whole numbers: {value: number of pixels}.")
        plain[value] = pixels
    if plain == wanted:
        return "Each value that occurs, with its pixels."
    without = {value: count for value, count in plain.items() if count}
    if without == wanted:
        raise NotYet(f"{len(plain) - len(without)} values that do not occur are listed with 0 pixels. Leave them out.")
    if plain == {value: count / 12 for value, count in wanted.items()}:
        raise NotYet("these are shares of the picture. Give back the numbers of pixels.")
    if plain == {count: value for value, count in wanted.items()}:
        raise NotYet("key and value are exchanged: {value: number of pixels}. getcolors gives (count, value).")
    if sum(plain.values()) == 36:
        raise NotYet("each pixel is counted three times: the mask became RGB on the way. Leave its mode.")
    if plain == {value: count for value, count in wanted.items() if value}:
        raise NotYet("the background is missing: 0 is a label too.")
    if plain == {value: count for value, count in wanted.items() if value != 255}:
        raise NotYet("255 is missing. What it means is not asked here: count it too.")
    if sum(plain.values()) != 12:
        raise NotYet(f"the mask has 12 pixels, and the counts add up to {sum(plain.values()):g}.")
    raise NotYet(
        f"0 is there 5 times, 1 4 times, 3 once, 255 twice. The answer has {len(plain)} values, and other counts."
    )
