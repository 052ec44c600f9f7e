"""Gives seglib damaged and strange files, one after another, and sees what it makes of them. Used by `make fuzz`.

A file is a picture in one of many kinds, modes, depths, sizes and turns, under a right or a wrong name; or it is no
picture at all; or a table of classes; or a split. Most are damaged: cut off, bits turned over, numbers of the header
replaced, parts left out, doubled or exchanged. Of each one is asked:

- an undamaged picture that can be read is read, with the pixels that were put in;
- an undamaged file that must not be read, as of 16 bits or of five bands, raises a `SegError`;
- a file that is cut off is read as the whole one, or raises a `SegError`;
- any other damaged file gives a picture of the right mode, with labels for a mask, or raises a `SegError`;
- no other error is raised, and no file is changed, made or left behind.

    python -m tools.proofs.fuzz [2000]        writes benchmarks/results/fuzz.json when all 2,000 are tried
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common.results import results_path, write_record
from seglib.data.image_io import load_image, load_image_tensor, load_mask
from seglib.data.mask_values import make_mask_values, read_class_names
from seglib.data.splits import read_split
from seglib.errors import SegError

RECORDED_FILES = 2000  # fewer are not recorded
MOST_PIXELS = 4_000_000  # a header that was changed to ask for more is refused, before any memory is taken
CLASSES = ["background", "apple", "lemon", "banana"]
ORIENTATION = 0x0112
NAMES = ("a", "ein Bild", "naïve", "photo.jpg", "a" * 150, "写真", "-rf", "x.y.z", "'quoted'", "#1", "UPPER")

# What a file is


@dataclass(frozen=True)
class Strange:
    """A file, and what is right for it.

    Attributes:
        name: of the file.
        data: its bytes.
        kind: in words, for the count.
        reader: what it is given to.
        pixels: what the reader has to return; None where it is not known.
        refused: True if a `SegError` is the only right answer.
    """

    name: str
    data: bytes
    kind: str
    reader: Callable[[Path], Any]
    pixels: np.ndarray | None = None
    refused: bool = False


def as_image(path: Path) -> np.ndarray:
    image = load_image(path, max_pixels=MOST_PIXELS)
    assert image.mode == "RGB", image.mode
    return np.array(image)


def as_tensor(path: Path) -> np.ndarray:
    return load_image_tensor(path, max_pixels=MOST_PIXELS).permute(1, 2, 0).numpy()  # (H, W, 3)


def as_binary_mask(path: Path) -> np.ndarray:
    return checked_mask(load_mask(path, max_pixels=MOST_PIXELS), {0, 255})


def as_class_mask(path: Path) -> np.ndarray:
    return checked_mask(load_mask(path, CLASSES, max_pixels=MOST_PIXELS), {0, 1, 2, 3, 255})


def checked_mask(mask: Image.Image, legal: set[int]) -> np.ndarray:
    assert mask.mode == "L", mask.mode
    assert set(np.unique(np.array(mask)).tolist()) <= legal
    return np.array(mask)


def as_table(path: Path) -> None:
    values = make_mask_values(palette=path, classes=CLASSES)
    for labels in (values.palette or {}, values.relabel):
        assert all(0 <= label < len(CLASSES) or label == 255 for label in labels.values())


def as_names(path: Path) -> None:
    names = read_class_names(path)
    assert len(names) >= 2
    assert all(names)


# Pictures that Pillow does not write


def png_bytes(array: np.ndarray, *, bits: int = 8) -> bytes:
    """A PNG of (h, w) or (h, w, bands) numbers; grey ones may have 1, 2, 4, 8 or 16 bits."""
    array = array.reshape(*array.shape[:2], -1)
    height, width, bands = array.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in array]
    elif bits == 8:
        rows = [row.astype(np.uint8).tobytes() for row in array]
    else:
        shifts = np.arange(bits - 1, -1, -1)
        rows = [np.packbits((row[..., 0:1].astype(np.uint8) >> shifts) & 1).tobytes() for row in array]
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    data = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def tiff_bytes(array: np.ndarray, *, colours: int, extra: list[int] | None = None, planar: int = 1) -> bytes:
    """A plain TIFF of (h, w, bands) numbers of any type."""
    height, width, bands = array.shape
    planes = array.transpose(2, 0, 1) if planar == 2 else array[None]
    strips = [plane.astype(plane.dtype.newbyteorder("<")).tobytes() for plane in planes]
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    tags = {256: [width], 257: [height], 258: [8 * array.itemsize] * bands, 259: [1], 262: [colours], 277: [bands]}
    tags |= {278: [height], 279: list(map(len, strips)), 284: [planar], 339: [kind] * bands, 273: [0] * len(strips)}
    tags |= {338: extra} if extra else {}
    sizes = [4 * len(values) for values in tags.values()]
    start = 8 + 2 + 12 * len(tags) + 4
    places = np.cumsum([start + sum(size for size in sizes if size > 4), *map(len, strips)])
    tags[273] = places[:-1].tolist()
    entries, more = b"", b""
    for tag, values in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}I", *values)
        if len(data) > 4:
            data, more = struct.pack("<I", start + len(more)), more + data
        entries += struct.pack("<HHI", tag, 4, len(values)) + data
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    return head + entries + b"\0" * 4 + more + b"".join(strips)


# Undamaged files

LOSSLESS: dict[str, dict[str, Any]] = {
    "png": {}, "tif": {}, "bmp": {}, "tga": {}, "ppm": {}, "pcx": {}, "sgi": {}, "qoi": {}, "jp2": {},
    "webp": {"lossless": True, "exact": True},
}  # fmt: skip
WITH_EXIF = ("png", "tif", "webp", "jpg")
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # what an EXIF orientation says about the stored pixels
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.swapaxes(stored[::-1, ::-1], 0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


def saved(picture: Image.Image, ending: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=Image.registered_extensions()[f".{ending}"], **options)
    return file.getvalue()


class Maker:
    """Makes files, each from the random numbers of its own seed."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def any_file(self) -> Strange:
        """A file, damaged in three cases of four."""
        make = self.rng.choice(
            [self.photograph] * 4
            + [self.lossy_photograph] * 2
            + [self.binary_mask, self.class_mask, self.label_file] * 2
            + [self.too_much] * 2
            + [self.no_picture, self.table, self.split]
        )
        file = make()
        return self.damage(file) if self.rng.random() < 0.75 else file

    def size(self) -> tuple[int, int]:
        return self.rng.choice([(1, 1), (1, 7), (9, 1), (13, 17), (24, 32), (33, 20)])  # (height, width)

    def name(self, ending: str) -> str:
        """A name with the right ending, or with another one where the content is known by itself."""
        if ending != "tga" and self.rng.random() < 0.25:
            ending = self.rng.choice(["jpg", "png", "tif", "JPEG", "webp", "heic", "txt", "gif"])
        return f"{self.rng.choice(NAMES)}.{ending}"

    def turn(self, ending: str) -> tuple[int, dict[str, Any]]:
        """An EXIF orientation, and the option that writes it."""
        if ending not in WITH_EXIF or self.rng.random() < 0.5:
            return 1, {}
        tags = Image.Exif()
        tags[ORIENTATION] = self.rng.randint(1, 8)
        return tags[ORIENTATION], {"exif": tags}

    def photograph(self) -> Strange:
        pixels = self.numbers.integers(0, 256, (*self.size(), 3), np.uint8)
        mode = self.rng.choice(["RGB", "RGB", "L", "RGBA", "LA", "1", "P", "CMYK"])
        ending = self.rng.choice(list(LOSSLESS) if mode == "RGB" else ["png", "tif"])
        if mode == "CMYK":
            ending = "tif"
        picture = Image.fromarray(pixels)
        picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
        if mode == "1" or (mode in ("LA", "P") and ending == "tif"):
            ending = "png"
        turn, option = self.turn(ending)
        data = saved(picture, ending, **LOSSLESS[ending], **option)
        right = TURNS[turn](np.array(picture.convert("RGB")))
        reader = self.rng.choice([as_image, as_tensor])
        return Strange(self.name(ending), data, f"photograph, {ending}", reader, right)

    def lossy_photograph(self) -> Strange:
        height, width = self.size()
        ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
        picture = Image.fromarray(ramp).convert(self.rng.choice(["RGB", "L", "CMYK"]))
        ending = "jpg" if picture.mode == "CMYK" else self.rng.choice(["jpg", "jpg", "webp", "gif"])
        _, option = self.turn(ending)
        progressive = {"progressive": True} if ending == "jpg" and self.rng.random() < 0.3 else {}
        data = saved(picture, ending, **option, **progressive)
        return Strange(self.name(ending), data, f"photograph, {ending}", self.rng.choice([as_image, as_tensor]))

    def binary_mask(self) -> Strange:
        labels = 255 * self.numbers.integers(0, 2, self.size(), np.uint8)
        picture = Image.fromarray(labels).convert(self.rng.choice(["L", "1", "RGB", "RGBA", "LA"]))
        ending = "png" if picture.mode in ("LA", "1") else self.rng.choice(["png", "tif", "tga", "webp"])
        turn, option = self.turn(ending)
        data = saved(picture, ending, **LOSSLESS[ending], **option)
        return Strange(self.name(ending), data, f"binary mask, {ending}", as_binary_mask, TURNS[turn](labels))

    def class_mask(self) -> Strange:
        labels = self.numbers.choice(np.array([0, 1, 2, 3, 255], np.uint8), self.size())
        picture = Image.fromarray(labels)
        if self.rng.random() < 0.5:
            picture = Image.frombytes("P", picture.size, labels.tobytes())
            picture.putpalette(self.numbers.integers(4, 250, 768, np.uint8).tolist())
        ending = self.rng.choice(["png", "tif", "bmp"])
        turn, option = self.turn(ending)
        data = saved(picture, ending, **option)
        return Strange(self.name(ending), data, f"class mask, {ending}", as_class_mask, TURNS[turn](labels))

    def label_file(self) -> Strange:
        """Labels in 2, 4, 16 or 32 bits."""
        labels = self.numbers.integers(0, 4, self.size(), np.uint8)
        labels[0, 0] = 1  # black and white would be asked about
        bits = self.rng.choice([2, 4, 16, 32])
        if bits == 32:
            data, ending = tiff_bytes(labels[..., None].astype(np.int32), colours=1), "tif"
        else:
            data, ending = png_bytes(labels, bits=bits), "png"
        return Strange(self.name(ending), data, f"label file of {bits} bits", as_class_mask, labels)

    def too_much(self) -> Strange:
        """What Pillow would read in part, without a word."""
        height, width = self.size()
        deep = self.numbers.integers(0, 4096, (height, width, 5)).astype(np.uint16)
        flat = (deep >> 4).astype(np.uint8)
        planar = self.rng.choice([1, 2])
        pages = [Image.fromarray(flat[..., :3]), Image.fromarray(flat[..., 1:4])]
        if np.array_equal(*map(np.array, pages)):
            pages[1] = pages[0].point(lambda value: 255 - value)
        greys = [Image.new("L", pages[0].size, shade) for shade in (0, 255)]
        together = {"save_all": True, "append_images": pages[1:]}
        made = {
            "16 bits, png": ("png", lambda: png_bytes(deep[..., :3], bits=16)),
            "16 bits, tif": ("tif", lambda: tiff_bytes(deep[..., :3], colours=2, planar=planar)),
            "floats, tif": ("tif", lambda: tiff_bytes(deep[..., :3].astype(np.float32), colours=2)),
            "four bands, tif": ("tif", lambda: tiff_bytes(flat[..., :4], colours=2, extra=[0], planar=planar)),
            "five bands, tif": ("tif", lambda: tiff_bytes(flat, colours=2, extra=[0, 0], planar=planar)),
            "five grey bands, tif": ("tif", lambda: tiff_bytes(flat, colours=1, planar=planar)),
            "two pages, tif": ("tif", lambda: saved(pages[0], "tif", **together)),
            "animated, gif": ("gif", lambda: saved(greys[0], "gif", save_all=True, append_images=greys[1:])),
            "animated, png": ("png", lambda: saved(pages[0], "png", **together)),
            "transparent, png": ("png", lambda: png_bytes(flat[..., [0, 1, 2, 3]] // 2, bits=8)),
        }  # fmt: skip
        kind = self.rng.choice(list(made))
        ending, write = made[kind]
        data = write()
        return Strange(self.name(ending), data, kind, as_image, refused=True)

    def no_picture(self) -> Strange:
        brand = self.rng.choice([b"heic", b"mif1", b"crx ", b"isom", b"avif", b"\0\0\0\0"])
        data = self.rng.choice(
            [
                b"",
                b"\0" * 700,
                b"a text",
                self.rng.randbytes(400),
                b"<!DOCTYPE html><html><body>Please log in</body></html>",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
                b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + b"\0" * 300,
                b"%PDF-1.7\n" + self.rng.randbytes(90),
                b"8BPS\0\x01" + self.rng.randbytes(90),
                b"\x93NUMPY\x01\0" + self.rng.randbytes(90),
                b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
                json.dumps({"a": 1}).encode(),
            ]
        )
        ending = self.rng.choice(["jpg", "png", "tif", "heic", "webp", "tga", "bmp"])
        reader = self.rng.choice([as_image, as_tensor, as_binary_mask, as_class_mask])
        refused = ending != "tga"  # random bytes may be a TGA, which has no signature
        return Strange(f"{self.rng.choice(NAMES)}.{ending}", data, "no picture", reader, refused=refused)

    def table(self) -> Strange:
        text = self.rng.choice(
            [
                "# label:color_rgb:parts:actions\nbackground:0,0,0::\napple:128,0,0::\n",
                "Pixel Value, Class\n0, background\n1, apple\n2, lemon\n",
                "r,g,b,label\n0,0,0,0\n255,0,0,3\n1,1,1,255\n",
                "colour,name\n#000000,background\n#ff0000,banana\n",
            ]
        )
        reader = self.rng.choice([as_table, as_names if "label\n" not in text else as_table])
        return Strange(self.rng.choice(["labelmap.txt", "_classes.csv"]), text.encode(), "table", reader)

    def split(self) -> Strange:
        text = json.dumps({"train": ["a", "b"], "validation": ["c"]})
        text = self.rng.choice(["", "\ufeff"]) + text
        return Strange("split.json", text.encode(), "split", read_split)

    # Damage

    def damage(self, file: Strange) -> Strange:
        """The same file, damaged in one way or in two. Of a file that was only cut off the pixels are still known."""
        cut = self.rng.random() < 0.3 and not file.refused
        data = file.data
        if cut:
            data = data[: self.rng.randrange(len(data) + 1)] if data else data
        else:
            for _ in range(self.rng.choice([1, 1, 2])):
                way = self.rng.choice([self.turn_bits, self.replace_number, self.leave_out, self.double, self.exchange])
                data = way(bytearray(data))
        how = "cut off" if cut else "damaged"
        return Strange(file.name, bytes(data), f"{file.kind}, {how}", file.reader, file.pixels if cut else None)

    def place(self, data: bytearray) -> int:
        """A place in the file, in half of all cases one of its header."""
        most = len(data) if self.rng.random() < 0.5 else min(len(data), 64)
        return self.rng.randrange(max(1, most))

    def turn_bits(self, data: bytearray) -> bytearray:
        for _ in range(self.rng.randint(1, 8)):
            if data:
                data[self.place(data)] ^= 1 << self.rng.randrange(8)
        return data

    def replace_number(self, data: bytearray) -> bytearray:
        place, length = self.place(data), self.rng.choice([1, 2, 4])
        number = self.rng.choice(
            [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1"]
        )
        data[place : place + length] = self.rng.choice([number, self.rng.randbytes(4)])[:length]
        return data

    def leave_out(self, data: bytearray) -> bytearray:
        place = self.place(data)
        del data[place : place + self.rng.randint(1, 40)]
        return data

    def double(self, data: bytearray) -> bytearray:
        place = self.place(data)
        data[place:place] = data[place : place + self.rng.randint(1, 40)]
        return data

    def exchange(self, data: bytearray) -> bytearray:
        one, other = self.place(data), self.place(data)
        data[one : one + 4], data[other : other + 4] = data[other : other + 4], data[one : one + 4]
        return data


# What seglib makes of it


def judge(file: Strange, folder: Path) -> tuple[str, str]:
    """("picture", "refusal" or "wrong", in which case: what)."""
    path = folder / file.name
    path.write_bytes(file.data)
    before = content_of(folder)
    try:
        result = file.reader(path)
        outcome = "picture", ""
        if file.refused:
            outcome = "wrong", "was read"
        elif file.pixels is not None and not np.array_equal(result, file.pixels):
            outcome = "wrong", "other pixels"
    except SegError as error:
        undamaged = file.pixels is not None and "cut off" not in file.kind
        outcome = ("wrong", f"was refused: {error}") if undamaged else ("refusal", "")
        if not (error.found and error.expected and error.fix):
            outcome = "wrong", f"a message without its three lines: {error!r}"
    except Exception as error:
        outcome = "wrong", f"{type(error).__name__}: {error}"
    if content_of(folder) != before:
        outcome = "wrong", "a file was changed"
    path.unlink()
    return outcome


def content_of(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
    }


def fuzz(count: int, seed: int = 0) -> dict[str, Any]:
    """Try so many files; the counts, and a line for each that went wrong."""
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(count):
            file = Maker(1_000_000 * seed + number).any_file()
            outcome, what = judge(file, Path(folder))
            outcomes[outcome] += 1
            kinds[file.kind.rpartition(", ")[2] if file.kind.endswith(("damaged", "cut off")) else "whole"] += 1
            if outcome == "wrong":
                wrong.append(f"file {number} of seed {seed}, {file.kind}, {file.name}: {what}")
        left = [path.name for path in Path(folder).iterdir()]
    counts = {"files": count, **{name: kinds[name] for name in ("whole", "cut off", "damaged")}}
    counts |= {"read": outcomes["picture"], "refused": outcomes["refusal"], "wrong": len(wrong), "files left": left}
    return counts | {"what was wrong": wrong}


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Libraries written in C, as libtiff, write their own lines there about each damaged file."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=RECORDED_FILES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    with without_stderr():
        counts = fuzz(arguments.count, arguments.seed)
    for line in counts["what was wrong"]:
        print(line)
    print(", ".join(f"{name}: {count}" for name, count in counts.items() if name != "what was wrong"))
    if arguments.count >= RECORDED_FILES and not arguments.seed:
        what = "damaged and strange files: each was read rightly, or refused by a SegError, and none was changed"
        write_record(results_path("fuzz"), what, {"seconds": round(time.perf_counter() - begin), **counts})
    return int(counts["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
