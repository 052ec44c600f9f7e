"""Fine-tune a segmentation model on a folder of images and a folder of masks; explained in `notebooks/`."""

from seglib.data.dataset import CustomDataset
from seglib.errors import SegError
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.training.loop import evaluate, fit, train_one_epoch

__version__ = "0.1.0"

__all__ = ["CustomDataset", "SegError", "build_deeplab", "evaluate", "fit", "make_loss", "train_one_epoch"]
