"""Exported models: bytes in, probabilities out, of any size; what is in the file gives what the model gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seglib import SegError, build_deeplab, make_loss
from seglib.errors import ShapeError
from seglib.inference.export import BytesToProbabilities, as_bytes, export_onnx, export_program, run_onnx
from seglib.inference.predict import predict
from seglib.training.checkpoint import TrainedModel


def trained(loss: str = "bce", channels: int = 1) -> TrainedModel:
    torch.manual_seed(0)
    return TrainedModel(build_deeplab(num_classes=channels, verbose=False), make_loss(loss), (48, 64))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory):
    model = trained()
    path = tmp_path_factory.mktemp("exported") / "a.pt2"
    return model, path, export_program(model, path)


@pytest.mark.parametrize(("loss", "channels"), [("mse", 1), ("bce", 1), ("cross_entropy", 3)])
def test_the_module_gives_what_predict_gives_but_for_rounding(loss: str, channels: int):
    model = trained(loss, channels)
    picture = np.array(Image.fromarray(noise(12, 16)).resize((80, 60), Image.Resampling.BILINEAR))
    wanted = predict(model, picture, probabilities=True).probabilities
    with torch.no_grad():
        found = BytesToProbabilities(model)(as_bytes(picture))[0]
    assert found.shape == wanted.shape == (channels, 60, 80)
    assert (found - wanted).abs().max() < 0.05


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (97, 131), (200, 300), (31, 47), (2, 3), (9000, 8), (8, 9000)])
def test_the_file_gives_what_the_module_gives_at_any_size(exported, size: tuple[int, int]):
    model, path, _ = exported
    pictures = as_bytes(noise(*size)).repeat(3, 1, 1, 1)
    with torch.no_grad():
        wanted = BytesToProbabilities(model)(pictures)
        found = torch.export.load(path).module()(pictures)
    assert (found - wanted).abs().max() < 1e-4


def test_onnxruntime_gives_what_the_module_gives_at_any_size(exported, tmp_path: Path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    model, _, program = exported
    export_onnx(program, tmp_path / "a.onnx")
    for size in ((48, 64), (200, 300), (31, 47)):
        pictures = as_bytes(noise(*size)).repeat(2, 1, 1, 1)
        with torch.no_grad():
            wanted = BytesToProbabilities(model)(pictures)
        assert (run_onnx(tmp_path / "a.onnx", pictures) - wanted).abs().max() < 1e-4


def test_what_is_missing_is_named_with_the_command_that_installs_it(exported, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SegError, match="pip install onnx onnxscript onnxruntime"):
        export_onnx(exported[2], tmp_path / "a.onnx")
    with pytest.raises(SegError, match="Not installed: onnxruntime"):
        run_onnx(tmp_path / "a.onnx", as_bytes(noise(4, 4)))


def test_a_model_of_crops_and_another_ending_are_refused(tmp_path: Path):
    with pytest.raises(SegError, match="tile by tile"):
        BytesToProbabilities(replace(trained(), scale=2.0))
    with pytest.raises(SegError, match=r"ends in \.pt2"):
        export_program(trained(), tmp_path / "a.onnx")


def test_there_is_no_largest_number_of_pictures(exported):
    model, path, _ = exported
    pictures = as_bytes(noise(5, 6)).repeat(70, 1, 1, 1)
    with torch.no_grad():
        assert torch.export.load(path).module()(pictures).shape == (70, 1, 5, 6)


@pytest.mark.parametrize("size", [(480, 640), (640, 480)])
def test_a_model_of_any_size_takes_pictures_of_other_sizes_and_of_its_own(size: tuple[int, int], tmp_path: Path):
    seen = []

    class Small(nn.Module):
        def forward(self, images):
            seen.append(images.shape[-2:])
            return {"out": images[:, :1]}

    model = TrainedModel(Small(), make_loss("bce"), size)
    program = export_program(model, tmp_path / "a.pt2")
    assert seen == [size]
    for shape in (size, (40, 50), size[::-1]):
        pictures = as_bytes(noise(*shape))
        assert (program.module()(pictures) - BytesToProbabilities(model)(pictures)).abs().max() < 1e-4


def test_the_example_has_no_side_of_the_model(tmp_path: Path, monkeypatch):
    examples = []

    def look(module, arguments, **named):
        examples.extend(arguments)
        raise InterruptedError

    monkeypatch.setattr("torch.export.export", look)
    for size in ((480, 640), (640, 480), (240, 320)):
        with pytest.raises(InterruptedError):
            export_program(TrainedModel(nn.Conv2d(3, 1, 1), make_loss("bce"), size), tmp_path / "a.pt2")
        assert not set(examples[-1].shape[-2:]) & set(size)


@pytest.mark.parametrize(
    "pictures",
    [torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.uint8)],
)
def test_only_bytes_of_three_channels_are_taken(pictures: torch.Tensor):
    with pytest.raises(ShapeError, match="as_bytes makes them"):
        BytesToProbabilities(trained())(pictures)
