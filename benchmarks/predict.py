"""How fast is a folder predicted, and how much memory does a large photograph take?

- folder: pictures a second, from files 1280 wide and 960 high to their masks on disk at that size. `predict_folder`
  against the obvious loop: open, transform, model, enlarge, save. Same model and weights, trained size 320 wide and 240
  high. What differs: the order in memory (channels-last), batches, and two threads that decode and write meanwhile. The
  share of pixels in which the masks differ is measured too.
- memory: the most memory that a process ever holds (resident, libraries included) while it predicts a photograph 6000
  wide and 4000 high: as it is, with probabilities, with four classes, and in tiles at full scale.

    python -m benchmarks.predict [folder] [memory]        writes benchmarks/results/predict.json
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from benchmarks.common.results import ROOT, option_parser, read_record, write_record
from benchmarks.common.samples import SAMPLES
from seglib.data.image_io import load_image
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.data.pairing import files_by_stem
from seglib.device import Timer, seed_everything
from seglib.inference.predict import predict
from seglib.inference.predict_folder import predict_folder
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.training.checkpoint import TrainedModel

SIZE = (240, 320)  # (height, width)
CASES = {
    "as it is": {},
    "with probabilities": {"probabilities": True},
    "four classes, with probabilities": {"probabilities": True, "num_classes": 4},
    "in tiles, at scale 1": {"scale": 1.0},
}


def trained(num_classes: int = 1) -> TrainedModel:
    """A model with the bundled weights and a random last layer: as fast as a trained one, its masks have more edges."""
    seed_everything(0)
    model = build_deeplab(num_classes=num_classes, verbose=False)
    return TrainedModel(model, make_loss("bce" if num_classes == 1 else "cross_entropy"), SIZE)


def obvious_loop(model: torch.nn.Module, images: Path, masks: Path) -> None:
    """What one writes first: one picture after another, as torchvision's model lies in memory."""
    steps = [transforms.Resize(SIZE), transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    transform = transforms.Compose(steps)
    masks.mkdir()
    model.eval()
    for path in sorted(images.iterdir()):
        image = Image.open(path).convert("RGB")
        with torch.no_grad():
            output = model(transform(image).unsqueeze(0))["out"]  # (1, 1, h, w)
            output = F.interpolate(output, size=(image.height, image.width), mode="bilinear")
        mask = (output[0, 0] > 0).byte() * 255
        Image.fromarray(mask.numpy()).save(masks / f"{path.stem}.png")


def copy_landscapes(images: Path, count: int) -> None:
    """Put the first samples that are 1280 wide into a folder: the obvious loop would leave a portrait on its side."""
    images.mkdir()
    paths = files_by_stem(SAMPLES / "images").values()
    landscapes = [path for path in paths if load_image(path).size == (1280, 960)]
    for path in landscapes[:count]:
        shutil.copy(path, images / path.name)


def time_both(images: Path, scratch: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, Path]]:
    """Seconds of both, in turns, after a round that does not count; and where the last round put its masks."""
    ours = trained()
    plain = trained().model.to(memory_format=torch.contiguous_format)
    seconds: dict[str, list[float]] = {"obvious loop": [], "seglib": []}
    for number in range(rounds + 1):
        masks = {way: scratch / f"{way} {number}" for way in seconds}
        with Timer() as timer:
            obvious_loop(plain, images, masks["obvious loop"])
        seconds["obvious loop"].append(timer.seconds)
        with Timer() as timer:
            predict_folder(ours, images, masks["seglib"])
        seconds["seglib"].append(timer.seconds)
    return {way: times[1:] for way, times in seconds.items()}, masks


def folder(count: int, rounds: int) -> dict:
    """Pictures a second of both; the medians over the rounds."""
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        copy_landscapes(images, count)
        seconds, masks = time_both(images, Path(scratch), rounds)
        differ = [
            np.mean(np.array(Image.open(mask)) != np.array(Image.open(masks["seglib"] / mask.name)))
            for mask in sorted(masks["obvious loop"].iterdir())
        ]
    done = len(differ)
    rates = {way: done / statistics.median(times) for way, times in seconds.items()}
    return {
        "pictures": done,
        "rounds": rounds,
        "pictures_a_second": {way: round(rate, 2) for way, rate in rates.items()},
        "ratio": round(rates["seglib"] / rates["obvious loop"], 2),
        "differing_pixels": float(np.mean(differ)),
        "differing_pixels_at_most": float(np.max(differ)),
    }


def peak(case: str, photo: Path) -> dict:
    """The most memory that this process has held, after predicting one photograph; for a process of its own."""
    options = dict(CASES[case])
    model = trained(options.pop("num_classes", 1))
    before = peak_bytes()
    begin = time.perf_counter()
    prediction = predict(model, photo, **options)
    seconds = round(time.perf_counter() - begin, 1)
    assert prediction.mask.shape == (4000, 6000)
    return {"gigabytes": round(peak_bytes() / 1e9, 2), "before": round(before / 1e9, 2), "seconds": seconds}


def peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory() -> dict:
    """Each case in a process of its own."""
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "large.jpg"
        first = next(iter(files_by_stem(SAMPLES / "images").values()))
        load_image(first).resize((6000, 4000)).save(photo, quality=90)
        for case in CASES:
            command = [sys.executable, "-m", "benchmarks.predict", "--peak", case, "--photo", str(photo)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            rows[case] = json.loads(done.stdout)
            print(case, rows[case], flush=True)
    return rows


def main() -> None:
    parser = option_parser(__doc__, "predict")
    parser.add_argument("questions", nargs="*", default=["folder", "memory"], help="folder, memory; both by default")
    parser.add_argument("--pictures", type=int, default=40, help="at most so many")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--photo", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(json.dumps(peak(arguments.peak, arguments.photo)))
        return
    figures = read_record(arguments.out)
    figures["threads"] = torch.get_num_threads()
    if "folder" in arguments.questions:
        figures["folder"] = folder(arguments.pictures, arguments.rounds)
        print(figures["folder"], flush=True)
    if "memory" in arguments.questions:
        figures["memory"] = memory()
    write_record(arguments.out, "prediction: pictures a second, and the most memory held", figures)


if __name__ == "__main__":
    main()
