"""Why does a model that was left in training mode measure another IoU than in evaluation mode?

Each training is that of `aux_head.py` with the auxiliary head: from the bundled weights, the 32 training pictures, 160
wide and 120 high, without augmentation, in batches of 4. It runs for 10 epochs, and, from the start again, for 40, with
eight seeds each. Every trained model is then measured on the 16 validation pictures in several ways, which differ in
where BatchNorm takes mean and spread from. The weights are the same in all of them.

- stored: evaluation mode, the averages that the training has kept.
- taken anew: evaluation mode, plain means over the training pictures, taken after the training.
- of validation: evaluation mode, plain means over the validation pictures.
- slower averages: evaluation mode, the averages that the same training keeps with torchvision's momentum (0.01 in the
  backbone; `build_deeplab` has 0.1). In training mode they play no part, so the weights are the same.
- as left: training mode, dropout included, in a batch with three other validation pictures.
- validation pictures, training pictures: the same with dropout off, in a batch with three pictures of these.
- copy of itself: the same, in a batch with itself.

Where company is drawn at random it is drawn several times, and the mean is taken. For comparison the training pictures
are measured too, with the stored averages and with those of a batch.

    python -m benchmarks.batchnorm_modes     writes benchmarks/results/batchnorm_modes.json; goes on where it stopped
    python -m benchmarks.batchnorm_modes --tiny --out FILE     a minute, to see that it runs
"""

import functools
import json
import statistics

from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.device import Timer
from seglib.lesson.common.short_training import small_pairs
from seglib.lesson.model.auxiliary_head import SIZE, score, train_with_aux
from seglib.lesson.model.modes import compare_modes

EPOCHS = (40, 10)  # the long ones first, so that no core is left with one at the end
SEEDS = tuple(range(8))
DRAWS = 8

pictures = functools.cache(small_pairs)  # decoded once in each process


def key_of(run: dict) -> tuple[int, int]:
    return run["epochs"], run["seed"]


def measure(epochs: int, seed: int, size: tuple[int, int], draws: int) -> dict:
    """One training, measured in every way; returns the row that is stored."""
    train_pairs, validation_pairs = pictures(SAMPLES, size)
    with Timer() as timer:
        model = train_with_aux(train_pairs, validation_pairs, seed, with_aux=True, epochs=epochs)
    ways = compare_modes(model, train_pairs, validation_pairs, draws)
    return {"epochs": epochs, "seed": seed, "iou": ways, "seconds": round(timer.seconds, 1)}


def measure_slower(epochs: int, seed: int, size: tuple[int, int]) -> dict:
    """The same training with torchvision's momentum, in evaluation mode; its ways go into the row of `measure`."""
    train_pairs, validation_pairs = pictures(SAMPLES, size)
    model = train_with_aux(train_pairs, validation_pairs, seed, with_aux=True, epochs=epochs, momentum=None)
    ways = {
        "slower averages": round(score(model, validation_pairs), 4),
        "slower averages, on training pictures": round(score(model, train_pairs), 4),
    }
    return {"epochs": epochs, "seed": seed, "iou": ways}


def mean_of(iou: float | list[float]) -> float:
    return statistics.mean(iou) if isinstance(iou, list) else iou


def summary(runs: list[dict]) -> dict[str, dict]:
    """For each length of training and each way: mean and spread over the seeds, and what is gained over "stored".

    "gain" is the mean of the differences, seed by seed, "gain_spread" their standard deviation, and "higher" the number
    of seeds in which the way is above "stored". "draws" is how far apart the lowest and the highest draw of one seed
    are, on average, where company is drawn at random. On the training pictures the gain is over theirs.
    """
    table: dict[str, dict] = {}
    for epochs in sorted({run["epochs"] for run in runs}):
        here = [run["iou"] for run in runs if run["epochs"] == epochs]
        rows = {}
        for way in here[0]:
            if any(way not in iou for iou in here):
                continue  # not yet measured with every seed
            ious = [mean_of(iou[way]) for iou in here]
            base = "stored, on training pictures" if way.endswith("on training pictures") else "stored"
            gains = [value - iou[base] for value, iou in zip(ious, here, strict=True)]
            rows[way] = {
                "mean": round(statistics.mean(ious), 4),
                "spread": round(spread(ious), 4),
                "gain": round(statistics.mean(gains), 4),
                "gain_spread": round(spread(gains), 4),
                "higher": sum(gain > 0 for gain in gains),
                "seeds": len(gains),
            }
            if isinstance(here[0][way], list):
                widths = [max(iou[way]) - min(iou[way]) for iou in here]
                rows[way]["draws"] = round(statistics.mean(widths), 4)
        table[str(epochs)] = rows
    return table


def main() -> None:
    parser = trainings_parser(__doc__, "batchnorm_modes")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    size = (48, 64) if arguments.tiny else SIZE
    lengths = (3, 2) if arguments.tiny else EPOCHS
    seeds = SEEDS[:2] if arguments.tiny else SEEDS
    draws = 2 if arguments.tiny else DRAWS
    settings = {
        "height": size[0],
        "width": size[1],
        "epochs": list(lengths),
        "batch_size": 4,
        "draws": draws,
        "weights": weights_used(),
    }
    what = "IoU on the validation pictures, by where BatchNorm takes mean and spread from"
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    cases = [
        {"epochs": epochs, "seed": seed, "size": size, "draws": draws}
        for epochs in lengths
        for seed in seeds
        if (epochs, seed) not in done
    ]

    def store() -> None:
        write_record(arguments.out, what, {"settings": settings, "summary": summary(runs), "runs": runs})

    for row in side_by_side(measure, cases, arguments.processes):
        print(row, flush=True)
        runs = sorted([*runs, row], key=key_of)
        store()
    left = {key_of(run): run for run in runs if "slower averages" not in run["iou"]}
    slower = [{"epochs": epochs, "seed": seed, "size": size} for epochs, seed in left]
    for row in side_by_side(measure_slower, slower, arguments.processes):
        print(row, flush=True)
        left[key_of(row)]["iou"] |= row["iou"]
        store()
    print(json.dumps(summary(runs), indent=1))


if __name__ == "__main__":
    main()
