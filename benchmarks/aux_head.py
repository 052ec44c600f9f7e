"""What does it cost to leave the auxiliary head out, and what to have it? Parameters, time of a step, IoU.

For each seed two trainings, from the same weights, on the same batches, by the same recipe: one on the loss of `out`,
one on that plus half of the loss of `aux`, as torchvision's reference script has it. Each is judged on the validation
pictures; of the second, `aux` is judged too. A step is timed on both models in turn, and the median is stored.

    python benchmarks/aux_head.py        writes benchmarks/results/aux_head.json; minutes on two cores
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import image_transform, mask_transform
from seglib.device import Timer
from seglib.lesson.model.auxiliary_head import AUX_WEIGHT, EPOCHS, SIZE, Aux, build_for, loss_of, score, train_with_aux
from seglib.losses import make_loss

SEEDS = (0, 1, 2)
ARMS = {"without": False, "with": True}


def milliseconds_a_step(pairs: list, rounds: int) -> dict[str, float]:
    """Forward and backward pass of a batch of four, in each arm: the median over rounds, both arms in each round."""
    images, masks = (torch.stack(tensors) for tensors in zip(*pairs[:4], strict=True))
    models = {arm: build_for(0, with_aux).train() for arm, with_aux in ARMS.items()}
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for _ in range(rounds + 2):
        for arm, model in models.items():
            with Timer() as timer:
                loss_of(model(images), masks, make_loss("bce")).backward()
            seconds[arm].append(timer.seconds)
    return {arm: round(1000 * statistics.median(times[2:]), 1) for arm, times in seconds.items()}  # two to warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rounds", type=int, default=15, help="of timing")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "aux_head.json")
    arguments = parser.parse_args()
    size, split = tuple(arguments.size), read_split(arguments.samples / "split.json")
    files = CustomDataset(
        arguments.samples / "images", arguments.samples / "masks", image_transform(size), mask_transform(size)
    )
    train_pairs, validation_pairs = (list(files.subset(stems)) for stems in (split.train, split.validation))
    times = milliseconds_a_step(train_pairs, arguments.rounds)
    arms: dict[str, dict] = {}
    for arm, with_aux in ARMS.items():
        parameters = sum(weight.numel() for weight in build_for(0, with_aux).parameters())
        arms[arm] = {"parameters": parameters, "milliseconds_a_step": times[arm], "iou": []}
        for seed in SEEDS:
            model = train_with_aux(train_pairs, validation_pairs, seed, with_aux, arguments.epochs)
            arms[arm]["iou"].append(round(score(model, validation_pairs), 4))
            if with_aux:
                arms[arm].setdefault("iou_of_aux", []).append(round(score(Aux(model), validation_pairs), 4))
            print(arm, seed, arms[arm], flush=True)
        arms[arm] |= {"mean": round(statistics.mean(arms[arm]["iou"]), 4)}
        arms[arm] |= {"spread": round(statistics.stdev(arms[arm]["iou"]), 4)}
    result = {"what": "a training with and without the auxiliary head, three seeds", "machine": machine()}
    result |= {"threads": torch.get_num_threads(), "height": size[0], "width": size[1], "epochs": arguments.epochs}
    result |= {"batch_size": 4, "aux_weight": AUX_WEIGHT, "seeds": SEEDS, "arms": arms}
    result |= {"time_ratio": round(times["with"] / times["without"], 3)}
    result |= {"iou_gained": round(arms["with"]["mean"] - arms["without"]["mean"], 4)}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
