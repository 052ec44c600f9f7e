"""Any picture in, its mask at its own size out: kinds, sizes, orientations, folders, tiles, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from seglib import SegError, make_loss
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import load_image, load_mask, to_rgb_image
from seglib.data.normalization import denormalize
from seglib.data.transforms import image_transform, joint_transform, mask_transform
from seglib.errors import ImageError, PairError, ShapeError
from seglib.inference.predict import model_input_size, predict
from seglib.inference.predict_folder import predict_folder
from seglib.inference.tiles import TiledModel, blend_weights, predict_in_tiles, tile_and_overlap, tile_spans
from seglib.model import build_deeplab
from seglib.training.checkpoint import TrainedModel
from tests.support.helpers import binary_mask, make_folders, photograph


class Red(nn.Module):
    """Says of each pixel how red it is, from 0 to 1, as an output; knows no neighbours, so the right mask is known."""

    def __init__(self, channels: int = 1):
        super().__init__()
        self.channels, self.weight, self.seen = channels, nn.Parameter(torch.zeros(1)), []

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.seen.append((self.training, tuple(images.shape)))
        return {"out": denormalize(images)[:, : self.channels]}


def red(loss: str = "mse", size: tuple[int, int] = (24, 32), channels: int = 1) -> TrainedModel:
    return TrainedModel(Red(channels), make_loss(loss), size)


def half_red(width: int, height: int) -> Image.Image:
    """Black, and red in the left half."""
    picture = Image.new("RGB", (width, height))
    picture.paste((255, 0, 0), (0, 0, width // 2, height))
    return picture


def test_every_kind_of_picture_gives_the_same_mask(tmp_path: Path):
    photo = half_red(64, 48)
    photo.save(tmp_path / "a.png")
    array = np.array(photo)
    tensor = torch.from_numpy(array).permute(2, 0, 1)  # (3, H, W)
    kinds = [tmp_path / "a.png", str(tmp_path / "a.png"), photo, array, array / 255.0, tensor, tensor / 255]
    wanted = torch.zeros(48, 64, dtype=torch.uint8)
    wanted[:, :32] = 1
    for kind in kinds:
        assert torch.equal(predict(red(), kind).mask, wanted), type(kind)


@pytest.mark.parametrize(
    ("width", "height"), [(64, 48), (48, 64), (640, 480), (33, 47), (1, 40), (40, 1), (1, 1), (900, 7)]
)
def test_the_mask_has_the_size_of_its_picture(width: int, height: int):
    trained = red()
    prediction = predict(trained, half_red(width, height), probabilities=True)
    assert prediction.mask.shape == (height, width)
    assert prediction.probabilities.shape == (1, height, width)
    assert trained.model.seen == [(False, (1, 3, 24, 32))]  # as in training, whatever the picture's own shape


def test_a_deeplab_takes_a_picture_one_pixel_wide():
    trained = TrainedModel(build_deeplab(weights=None, verbose=False), make_loss("bce"), (24, 32))
    for size in ((1, 40), (40, 1), (1, 1)):
        assert predict(trained, Image.new("RGB", size)).mask.shape == size[::-1]


def test_a_picture_is_seen_at_the_size_of_the_training_or_at_a_scale():
    for size in ((960, 1280), (1280, 960), (24, 32), (1, 3000)):
        assert model_input_size(size, (240, 320)) == (240, 320)
    assert model_input_size((960, 1280), (240, 320), scale=0.5) == (480, 640)
    assert model_input_size((1, 3000), (240, 320), scale=0.5) == (1, 1500)


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (30, 90), (51, 51)])
def test_training_validation_and_prediction_see_one_and_the_same_picture(tmp_path: Path, shape: tuple[int, int]):
    images, masks = make_folders(tmp_path, stems=())
    photograph(1, *shape).save(images / "a.png")
    binary_mask(1, *shape).save(masks / "a.png")
    joint = joint_transform((24, 32), train=False)
    validation = CustomDataset(images, masks, joint_transform=joint)[0][0]
    notes = CustomDataset(images, masks, image_transform((24, 32)), mask_transform((24, 32)))[0][0]
    trained = red()
    seen = []
    trained.model.register_forward_pre_hook(lambda model, inputs: seen.append(inputs[0][0]))
    predict(trained, images / "a.png")
    predict_folder(trained, images, tmp_path / "predicted")
    for other in (notes, *seen):  # Pillow and torch round differently, by two grey values at most
        assert (denormalize(other) - denormalize(validation)).abs().max() <= 2.5 / 255
    assert len(seen) == 2


def test_a_model_of_crops_predicts_at_its_scale_in_tiles(tmp_path: Path):
    trained = replace(red(), scale=2.0)
    picture = half_red(200, 150)
    mask = predict(trained, picture).mask
    assert mask.shape == (150, 200)
    assert len(trained.model.seen) > 1  # tiles of 64 x 64 of 300 x 400
    assert torch.equal(mask, predict(red(), picture, scale=2.0).mask)
    folder = tmp_path / "photos"
    folder.mkdir()
    picture.save(folder / "a.png")
    (written,) = predict_folder(trained, folder, tmp_path / "masks")
    assert np.array_equal(np.array(load_mask(written)), mask.numpy() * 255)


def test_a_tiled_model_gives_the_outputs_of_the_whole_picture():
    model = Red()
    images = torch.rand(2, 3, 150, 200)
    outputs = TiledModel(model, (24, 32)).eval()(images)["out"]
    assert torch.allclose(outputs, model(images)["out"], atol=1e-5)
    assert len(model.seen) > 3


def test_a_photograph_of_a_phone_is_turned_upright(tmp_path: Path):
    lying = half_red(64, 48).transpose(Image.Transpose.ROTATE_90)  # (48, 64), red below
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert lying.size == (48, 64)
    mask = predict(red(), tmp_path / "a.jpg").mask
    assert mask.shape == (48, 64)
    assert mask[:, :30].float().mean() > 0.95
    assert mask[:, 34:].float().mean() < 0.05


def test_training_mode_is_left_and_running_means_stay():
    model = build_deeplab(weights=None, verbose=False).train()
    trained = TrainedModel(model, make_loss("bce"), (24, 32))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    first, second = (predict(trained, noise, probabilities=True).probabilities for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_activation_and_threshold_are_those_of_the_loss():
    grey = np.full((24, 32, 3), round(0.3 * 255), np.uint8)
    intensity, logit = (predict(red(loss), grey, probabilities=True) for loss in ("mse", "bce"))
    assert intensity.probabilities.mean().item() == pytest.approx(76 / 255, abs=1e-3)
    assert logit.probabilities.mean().item() == pytest.approx(0.574, abs=1e-3)
    assert (intensity.mask.max(), logit.mask.min()) == (0, 1)


def test_several_classes_give_their_labels():
    photo = half_red(64, 48)
    photo.paste((0, 255, 0), (32, 0, 64, 48))
    prediction = predict(red("cross_entropy", channels=3), photo, probabilities=True)
    assert prediction.mask[:, :30].unique().tolist() == [0]
    assert prediction.mask[:, 34:].unique().tolist() == [1]
    assert prediction.probabilities.shape == (3, 48, 64)
    assert torch.allclose(prediction.probabilities.sum(dim=0), torch.ones(48, 64))


def test_a_mask_may_be_written_on():
    mask = predict(red(), half_red(8, 8)).mask
    mask[mask == 1] = 255  # a tensor of inference_mode would refuse
    assert mask.dtype == torch.uint8


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (torch.zeros(2, 3, 8, 8), "of shape (2, 3, 8, 8)"),
        (np.zeros((3, 8, 8), np.uint8), "channels last"),
        (np.zeros((8, 8, 4), np.uint8), "of shape (8, 8, 4)"),
        (np.zeros((0, 8, 3), np.uint8), "of shape (0, 8, 3)"),
        (torch.full((3, 8, 8), -2.1), "denormalize"),
        (np.full((8, 8, 3), 200.0), "floats from 200 to 200"),
        (np.full((8, 8, 3), np.nan), "floats from nan"),
        (np.zeros((8, 8), np.uint16), "uint16"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "int64"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(picture, words: str):
    with pytest.raises(ShapeError) as error:
        predict(red(), picture)
    assert words in str(error.value)


def test_grey_and_opaque_pictures_are_taken():
    for mode in ("L", "P", "1", "CMYK", "YCbCr", "RGBA", "LA"):
        picture = half_red(16, 12).convert("RGBA").convert(mode) if mode == "LA" else half_red(16, 12).convert(mode)
        assert to_rgb_image(picture).mode == "RGB"
    assert to_rgb_image(np.zeros((4, 5), np.uint8)).size == (5, 4)
    assert to_rgb_image(torch.zeros(1, 4, 5)).size == (5, 4)


def test_cmyk_is_read_as_colours(tmp_path: Path):
    half_red(64, 48).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    mask = predict(red(), tmp_path / "a.jpg").mask
    assert mask[:, :30].float().mean() > 0.95
    assert mask[:, 34:].float().mean() < 0.05


@pytest.mark.parametrize("kind", ["16 bits", "transparent", "animated", "pages", "huge", "truncated"])
def test_files_that_cannot_be_read_rightly_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    path = tmp_path / ("a.tif" if kind == "pages" else "a.png")
    frames = [half_red(16, 12), half_red(16, 12).rotate(180)]
    if kind == "16 bits":
        Image.fromarray(np.full((12, 16), 40000, np.uint16)).save(path)
    elif kind == "transparent":
        Image.new("RGBA", (16, 12), (255, 0, 0, 100)).save(path)
    elif kind in ("animated", "pages"):
        frames[0].save(path, save_all=True, append_images=frames[1:])
    else:
        frames[0].save(path)
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:60])
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 if kind == "huge" else None)
    words = {"16 bits": "more than 8 bits", "transparent": "partly transparent", "animated": "holds 2 pictures"}
    words |= {"pages": "holds 2 pictures", "huge": "192 pixels", "truncated": "cannot be read"}
    with pytest.raises(ImageError, match=words[kind]):
        predict(red(), path)


def test_the_jpeg_of_a_phone_with_a_preview_is_one_picture(tmp_path: Path):
    half_red(64, 48).save(tmp_path / "a.mpo", save_all=True, append_images=[half_red(16, 12)])
    (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg").size == (64, 48)


# Tiles


@pytest.mark.parametrize("length", [1, 5, 95, 96, 97, 479, 480, 481, 864, 865, 3000])
def test_tiles_cover_every_pixel_and_their_weights_add_up_to_one(length: int):
    tile, overlap = tile_and_overlap(240)
    total = torch.zeros(length)
    for begin, end in tile_spans(length, tile, overlap):
        assert 0 < end - begin <= tile
        total[begin:end] += blend_weights(begin, end, length, overlap)
    assert torch.allclose(total, torch.ones(length))


def test_tiles_that_make_no_sense_are_refused():
    with pytest.raises(ShapeError, match="overlap"):
        tile_spans(1000, 480, 300)


class Local(nn.Module):
    """Looks at most 8 pixels around, on a grid of 4, and not at the whole picture."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": nn.functional.interpolate(self.layers(images), images.shape[-2:], mode="bilinear")}


def test_tiles_give_what_the_whole_picture_gives():
    trained = TrainedModel(Local(), make_loss("bce"), (32, 64))
    noise = np.random.default_rng(0).integers(0, 256, (224, 352, 3), np.uint8)
    whole = TrainedModel(trained.model, trained.criterion, (224, 352))
    in_one = predict(whole, noise, probabilities=True).probabilities
    tiled = predict(trained, noise, probabilities=True, scale=1.0).probabilities
    # A tile is 64 x 128; they overlap by 0 and 32 pixels: across, the seams cannot be seen; down, they can.
    assert tile_and_overlap(32) == (64, 0)
    assert tile_and_overlap(64) == (128, 32)
    away = [row for row in range(224) if 12 <= row % 64 < 52]
    assert torch.allclose(in_one[:, away], tiled[:, away], atol=1e-5)


def test_a_picture_of_one_tile_is_unchanged_by_tiling():
    outputs = torch.randn(2, 30, 40)
    assert torch.equal(predict_in_tiles(lambda rows, columns: outputs[:, rows, columns], (30, 40), (32, 32)), outputs)


# Folders


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, size in enumerate([(64, 48), (48, 64), (64, 48), (33, 47), (64, 48)]):
        half_red(*size).save(folder / f"photo_{number}.png")
    return folder


def test_a_folder_gives_a_png_for_each_picture(photos: Path, tmp_path: Path):
    trained = red()
    written = predict_folder(trained, photos, tmp_path / "masks", batch_size=2)
    assert [path.name for path in written] == [f"photo_{number}.png" for number in range(5)]
    for path in written:
        alone = predict(red(), photos / path.name).mask
        assert np.array_equal(np.array(load_mask(path)), alone.numpy() * 255)
    assert [shape[0] for _, shape in trained.model.seen] == [2, 2, 1]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == [path.name for path in written]


def test_class_masks_are_written_as_labels(photos: Path, tmp_path: Path):
    (path, *_) = predict_folder(red("cross_entropy", channels=3), photos, tmp_path / "masks")
    assert set(np.unique(np.array(Image.open(path)))) <= {0, 1, 2}


def test_a_mask_that_is_there_is_never_lost_unasked(photos: Path, tmp_path: Path):
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "photo_3.png").write_text("drawn by hand")
    with pytest.raises(PairError, match=r"1 of 5 masks are there already, masks/photo_3.png"):
        predict_folder(red(), photos, masks)
    assert [path.name for path in masks.iterdir()] == ["photo_3.png"]
    assert len(predict_folder(red(), photos, masks, existing="skip")) == 4
    assert (masks / "photo_3.png").read_text() == "drawn by hand"
    assert len(predict_folder(red(), photos, masks, existing="overwrite")) == 5
    assert load_mask(masks / "photo_3.png").size == (33, 47)
    with pytest.raises(PairError, match="existing"):
        predict_folder(red(), photos, masks, existing="yes")


def test_the_pictures_themselves_are_never_written_over(photos: Path):
    before = (photos / "photo_0.png").read_bytes()
    with pytest.raises(PairError, match="into the folder of the pictures"):
        predict_folder(red(), photos, photos / ".." / "photos", existing="overwrite")
    assert (photos / "photo_0.png").read_bytes() == before


def test_a_broken_picture_is_named_and_the_others_are_done(photos: Path, tmp_path: Path):
    (photos / "photo_1.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"1 of 5 pictures were not read. \"photos/photo_1.png\" is empty"):
        predict_folder(red(), photos, tmp_path / "masks")
    assert len(list((tmp_path / "masks").iterdir())) == 4


def test_a_folder_of_many_sizes_does_not_fill_the_memory(tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        half_red(10 + number, 40).save(folder / f"{number}.png")
    assert len(predict_folder(red(), folder, tmp_path / "masks", batch_size=2)) == 20


def test_errors_are_seg_errors_and_keep_paths_short(tmp_path: Path):
    with pytest.raises(SegError) as error:
        predict(red(), tmp_path / "nowhere.png")
    assert str(tmp_path) not in str(error.value)


def test_overlays_and_probabilities_lie_beside_the_masks(photos: Path, tmp_path: Path):
    (photos / "sub").mkdir()
    (photos / "photo_4.png").rename(photos / "sub" / "photo_4.png")
    folders = {"overlay_folder": tmp_path / "over", "probability_folder": tmp_path / "sure"}
    with pytest.raises(PairError, match="recursive=True"):
        predict_folder(red(), photos, tmp_path / "masks", **folders)
    predict_folder(red(), photos, tmp_path / "masks", recursive=True, **folders)
    names = {path.relative_to(tmp_path / "masks").with_suffix("") for path in (tmp_path / "masks").rglob("*.png")}
    assert Path("sub/photo_4") in names
    for folder, suffix in ((tmp_path / "over", ".jpg"), (tmp_path / "sure", ".npy")):
        assert {path.relative_to(folder).with_suffix("") for path in folder.rglob(f"*{suffix}")} == names
    drawn = np.array(Image.open(tmp_path / "over" / "photo_1.jpg"))
    photo = np.array(Image.open(photos / "photo_1.png"))
    assert drawn.shape == photo.shape
    assert np.abs(drawn.astype(int) - photo)[10, 10].max() > 20  # the object is tinted
    probabilities = np.load(tmp_path / "sure" / "photo_1.npy")
    assert (probabilities.shape, probabilities.dtype) == ((1, 64, 48), np.float16)
    assert probabilities[0, 10, 10] > 0.9 > 0.1 > probabilities[0, 10, 40]


def test_overlays_of_several_classes_have_a_colour_each(photos: Path, tmp_path: Path):
    predict_folder(red("ce_dice", channels=3), photos, tmp_path / "masks", overlay_folder=tmp_path / "over")
    assert len(list((tmp_path / "over").iterdir())) == 5
