"""Owns a trained model as a file that runs without seglib: `torch.export`, and ONNX. Explained in 11_predict."""

import importlib.util
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from seglib.data.image_io import ImageLike, to_rgb_image
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.errors import SegError, ShapeError
from seglib.training.checkpoint import TrainedModel


class BytesToProbabilities(nn.Module):
    """A trained model with all that goes before it and after it: photographs in, probabilities out.

    Resizing, normalisation, the activation of the loss and the enlarging are inside, so whoever calls it needs no
    number of the training.

    Args:
        trained: of `load_trained`. The model is shared, not copied, and is in evaluation mode afterwards.

    Shape:
        In: photographs (N, 3, H, W) uint8, of any height and width, upright. Out: probabilities (N, C, H, W) float32.

    Raises:
        ShapeError: the photographs are no bytes, or have not three channels. Floats from 0 to 1 would look black.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> trained = TrainedModel(build_deeplab(weights=None, verbose=False), make_loss("bce"), size=(24, 32))
        >>> BytesToProbabilities(trained)(torch.zeros(2, 3, 48, 64, dtype=torch.uint8)).shape
        torch.Size([2, 1, 48, 64])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trained: TrainedModel):
        super().__init__()
        if trained.scale is not None:
            raise SegError(
                "This model was trained on crops, so it predicts a picture tile by tile.",
                "a model that sees a picture as a whole",
                "Use predict or predict_folder, which work in tiles.",
            )
        self.model = trained.model.eval()
        self.size = trained.size
        self.criterion = trained.criterion
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities (N, C, H, W) of photographs (N, 3, H, W) uint8."""
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
            raise ShapeError(
                f"The pictures are {tuple(pictures.shape)}, of {pictures.dtype}.",
                "bytes, torch.uint8 from 0 to 255, of shape (N, 3, H, W)",
                "as_bytes makes them of a file, a PIL image or an array.",
            )
        # antialias: each new pixel is a weighted mean, over twice the width of the pixels that become one, the weights
        # a triangle, as in Pillow's BILINEAR. Without it, four old pixels are mixed and the rest are skipped.
        small = F.interpolate(pictures.float() / 255, self.size, mode="bilinear", antialias=True)  # (N, 3, h, w)
        outputs = self.model((small - self.mean) / self.std)["out"]  # (N, C, h, w)
        outputs = F.interpolate(outputs, pictures.shape[-2:], mode="bilinear")  # (N, C, H, W)
        return self.criterion.probabilities(outputs)


def as_bytes(picture: ImageLike) -> Tensor:
    """A picture as an exported model takes it: (1, 3, H, W) uint8, upright."""
    image: Image.Image = to_rgb_image(picture)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous()


def export_program(trained: TrainedModel, path: str | os.PathLike[str]) -> torch.export.ExportedProgram:
    """Write a model as a `.pt2` file, which torch alone can run: `torch.export.load(path).module()(pictures)`.

    It takes any number of pictures, of any height and width. Keep the checkpoint, from which you can export again: a
    `.pt2` is for the version of torch that wrote it. It holds a pickle: load one only from people whom you trust.

    Args:
        trained: as in `BytesToProbabilities`. Its model moves to the CPU: the file's operations belong to a device.
        path: of the new file, which has to end in `.pt2`.

    Returns:
        The program that was written.

    Raises:
        SegError: a model of crops, or another ending.
    """
    path = Path(path)
    _check_suffix(path, ".pt2")
    whole = BytesToProbabilities(trained).cpu().to(memory_format=torch.contiguous_format)
    # Two pictures: one would fix their number at one. No side is one of the model's, so that none can be fixed by that.
    height, width = trained.size
    example = torch.zeros(2, 3, 2 * height + 1, 2 * width + 3, dtype=torch.uint8)
    sides = {0: torch.export.Dim("pictures"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own parts: nothing that a caller could change
        program = torch.export.export(whole, (example,), dynamic_shapes=(sides,), strict=False)
        torch.export.save(program, path)
    return program


def export_onnx(program: torch.export.ExportedProgram, path: str | os.PathLike[str]) -> None:
    """Write an exported program as an `.onnx` file, which programs in other languages can run.

    Not each of them has each operation, antialiased resizing least of all, and some leave it out without an error. Run
    one photograph through both sides, and compare the numbers, before you hand a file over.

    Args:
        program: of `export_program`.
        path: of the new file, which has to end in `.onnx`.

    Raises:
        SegError: onnx or onnxscript is not installed, or another ending.
    """
    _require("onnx", "onnxscript")
    path = Path(path)
    _check_suffix(path, ".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx = torch.onnx.export(
            program, dynamo=True, input_names=["pictures"], output_names=["probabilities"], verbose=False
        )
        assert onnx is not None  # it is None only for the exporter before dynamo
        onnx.save(path)


def run_onnx(path: str | os.PathLike[str], pictures: Tensor) -> Tensor:
    """What onnxruntime, without torch, makes of pictures (N, 3, H, W) uint8: probabilities (N, C, H, W) float32.

    Raises:
        SegError: onnxruntime is not installed.
    """
    _require("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"pictures": pictures.cpu().numpy()})
    return torch.from_numpy(probabilities)


def _require(*packages: str) -> None:
    missing: Iterable[str] = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise SegError(
            f"Not installed: {', '.join(missing)}.",
            "onnx and onnxscript to write an ONNX file, and onnxruntime to run it",
            "pip install onnx onnxscript onnxruntime",
        )


def _check_suffix(path: Path, suffix: str) -> None:
    if path.suffix != suffix:
        raise SegError(f'The file is called "{path.name}".', f"a name that ends in {suffix}", "Rename it.")
