"""What does it cost to leave the auxiliary head out, and what to have it? Parameters, time of a step, IoU.

For each seed two trainings, from the same weights, on the same batches, by the same recipe: one on the loss of `out`,
one on that plus half of the loss of `aux`, as torchvision's reference script has it. Each is judged on the validation
pictures; of the second, `aux` is judged too. A step is timed on both models in turn, and the median is stored.

    python -m benchmarks.aux_head        writes benchmarks/results/aux_head.json; minutes on two cores
"""

import json
import statistics

import torch

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES
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


def read_pairs(size: tuple[int, int]) -> tuple[list, list]:
    """Training and validation pairs as the notes transform them."""
    files = CustomDataset(SAMPLES / "images", SAMPLES / "masks", image_transform(size), mask_transform(size))
    split = read_split(SAMPLES / "split.json")
    return list(files.subset(split.train)), list(files.subset(split.validation))


def iou_by_seed(with_aux: bool, train_pairs: list, validation_pairs: list, epochs: int) -> dict:
    """IoU after the training of each seed, mean and spread; with the auxiliary head also the IoU of `aux`."""
    row: dict = {"iou": []}
    for seed in SEEDS:
        model = train_with_aux(train_pairs, validation_pairs, seed, with_aux, epochs=epochs)
        row["iou"].append(round(score(model, validation_pairs), 4))
        if with_aux:
            row.setdefault("iou_of_aux", []).append(round(score(Aux(model), validation_pairs), 4))
    row["mean"] = round(statistics.mean(row["iou"]), 4)
    row["spread"] = round(statistics.stdev(row["iou"]), 4)
    return row


def main() -> None:
    parser = option_parser(__doc__, "aux_head")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rounds", type=int, default=15, help="of timing")
    arguments = parser.parse_args()
    height, width = arguments.size
    train_pairs, validation_pairs = read_pairs((height, width))
    times = milliseconds_a_step(train_pairs, arguments.rounds)
    arms = {}
    for arm, with_aux in ARMS.items():
        parameters = sum(weight.numel() for weight in build_for(0, with_aux).parameters())
        arms[arm] = {"parameters": parameters, "milliseconds_a_step": times[arm]}
        arms[arm] |= iou_by_seed(with_aux, train_pairs, validation_pairs, arguments.epochs)
        print(arm, arms[arm], flush=True)
    figures = {
        "threads": torch.get_num_threads(),
        "height": height,
        "width": width,
        "epochs": arguments.epochs,
        "batch_size": 4,
        "aux_weight": AUX_WEIGHT,
        "seeds": SEEDS,
        "arms": arms,
        "time_ratio": round(times["with"] / times["without"], 3),
        "iou_gained": round(arms["with"]["mean"] - arms["without"]["mean"], 4),
    }
    write_record(arguments.out, "a training with and without the auxiliary head, three seeds", figures)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
