"""Owns the folder of 13_your_own_data: a reader's pictures and masks, with the flaws that real folders have."""

from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split
from seglib.lesson.common.small_dataset import near_twin

SIZE = (480, 640)  # (height, width)
TRAIN = ["000", "001", "002", "004", "007", "010", "014", "015", "016", "017", "018", "019", "022", "023", "025", "026"]
VALIDATION = ["006", "008", "009", "011", "013", "024", "030", "033"]


class ReadersFolder:
    """25 of the samples, small, in the folders `images` and `masks` below `root`, and the split that goes with them.

    A near-twin of `fruit_018` is the 26th picture. `write(stem)` writes a pair as it should be, `spoil()` puts the
    flaws in.
    """

    def __init__(self, samples: Path, root: Path):
        self.images = root / "images"
        self.masks = root / "masks"
        self.samples = CustomDataset(samples / "images", samples / "masks")
        self.split = Split(
            [f"fruit_{number}" for number in TRAIN] + ["fruit_012"],
            [f"fruit_{number}" for number in VALIDATION] + ["fruit_018_b"],
        )
        for folder in (self.images, self.masks):
            folder.mkdir(parents=True)
        for stem in (*self.split.train, *self.split.validation):
            self.write(stem)

    def right(self, stem: str) -> tuple[Image.Image, Image.Image]:
        """Image and mask as they should be, 640 wide and 480 high, or the other way round."""
        image, mask = self.samples.subset([stem.removesuffix("_b")])[0]
        size = SIZE[::-1] if image.width > image.height else SIZE  # (width, height), as Pillow takes it
        image = image.resize(size, Image.Resampling.BILINEAR)
        mask = mask.resize(size, Image.Resampling.NEAREST)
        return near_twin(image, mask, seed=1) if stem.endswith("_b") else (image, mask)

    def write(self, stem: str) -> None:
        """Write a pair anew, as it should be."""
        image, mask = self.right(stem)
        image.save(self.images / f"{stem}.jpg", quality=92)
        mask.save(self.masks / f"{stem}.png")

    def pair(self, stem: str) -> tuple[Image.Image, Image.Image]:
        """The two files as they lie there, to be looked at."""
        with Image.open(self.images / f"{stem}.jpg") as image, Image.open(self.masks / f"{stem}.png") as mask:
            return image.convert("RGB"), mask.convert("L")

    def spoil(self) -> None:
        """Put the flaws in: a broken image, a missing mask, seven wrong masks, and a scene too far away."""
        broken = self.images / "fruit_004.jpg"
        broken.write_bytes(broken.read_bytes()[:9000])
        (self.masks / "fruit_010.png").unlink()
        moved = Image.new("L", SIZE[::-1])
        moved.paste(self._right_mask("fruit_017"), (32, 0))  # 5 % of the width
        spoiled = {
            "fruit_001": self._right_mask("fruit_001").transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            "fruit_002": self._right_mask("fruit_007"),
            "fruit_007": self._right_mask("fruit_002"),
            "fruit_012": self._right_mask("fruit_012").transpose(Image.Transpose.ROTATE_90),  # as if EXIF were ignored
            "fruit_014": self._right_mask("fruit_014").point(lambda value: value // 255),
            "fruit_015": ImageOps.colorize(self._right_mask("fruit_015"), "black", "red"),
            "fruit_017": moved,
        }
        for stem, mask in spoiled.items():
            mask.save(self.masks / f"{stem}.png")
        far_image, far_mask = from_afar(*self.right("fruit_023"))
        far_image.save(self.images / "fruit_023.jpg")
        far_mask.save(self.masks / "fruit_023.png")

    def _right_mask(self, stem: str) -> Image.Image:
        return self.right(stem)[1]


def from_afar(image: Image.Image, mask: Image.Image, times: int = 6) -> tuple[Image.Image, Image.Image]:
    """A pair as if taken from `times` as far: the whole scene small in the middle, and a blurred one around it."""
    small = (image.width // times, image.height // times)
    corner = ((image.width - small[0]) // 2, (image.height - small[1]) // 2)
    far_image = image.filter(ImageFilter.GaussianBlur(image.width / 10))
    far_image.paste(image.resize(small, Image.Resampling.BOX), corner)
    far_mask = Image.new("L", image.size)
    far_mask.paste(mask.resize(small, Image.Resampling.NEAREST), corner)
    return far_image, far_mask
