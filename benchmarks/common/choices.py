"""Owns what freezing.py, weight_decay.py and schedules.py share: one training of a `Choice`, and the table of all."""

import argparse
import functools
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.machine import device_in_use
from benchmarks.common.results import refuse_a_tiny_record, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.lesson.common.short_training import SIZE, small_pairs
from seglib.lesson.optimizer.part_training import Choice, first_pairs, train_choice

SEEDS = (0, 1, 2)
TINY_SIZE = (48, 64)
BATCH_SIZE = 4

pictures = functools.cache(small_pairs)  # decoded once in each process


def train(
    arm: str, choice: dict[str, Any], *, count: int, epochs: int, size: tuple[int, int], augmented: bool
) -> dict[str, Any]:
    """One training; returns the row that is stored.

    Args:
        arm: the name of what is compared.
        choice: the fields of a `Choice`.
        count: of the 32 training pictures.
        epochs: how often each is shown.
        size: (height, width) in pixels.
        augmented: changed at random each time, as in 00_start_here.
    """
    chosen = Choice(**choice)
    all_pairs, validation = pictures(SAMPLES, size)
    pairs = first_pairs(all_pairs, count, chosen.seed) if count < len(all_pairs) else all_pairs
    row = {"arm": arm, "pictures": count, "epochs": epochs, "height": size[0], "augmented": augmented, **choice}
    row["device"] = device_in_use()

    def measured(shown: Any) -> dict[str, Any]:
        train_dataloader, _ = make_loaders(shown, validation, batch_size=BATCH_SIZE, seed=chosen.seed)
        return row | train_choice(train_dataloader, pairs, validation, chosen, epochs=epochs, prepare=speed_up)

    if not augmented:
        return measured(pairs)
    with shrunk_copies(sample_files(), size) as files:
        changed = CustomDataset(files / "images", files / "masks", joint_transform=joint_transform(size, train=True))
        return measured(changed.subset(read_split(SAMPLES / "split.json").train))


def case_of(
    arm: str,
    choice: Choice,
    count: int = 32,
    *,
    epochs: int = 12,
    size: tuple[int, int] = SIZE,
    augmented: bool = False,
) -> dict[str, Any]:
    """The arguments of `train`."""
    named = {"arm": arm, "choice": asdict(choice), "count": count, "epochs": epochs, "size": size}
    return {**named, "augmented": augmented}


def key_of_case(case: dict[str, Any]) -> tuple:
    return (case["arm"], case["count"], case["epochs"], case["size"][0], case["choice"]["lr"], case["choice"]["seed"])


def key_of(run: dict[str, Any]) -> tuple:
    return (run["arm"], run["pictures"], run["epochs"], run["height"], run["lr"], run["seed"])


def table_of(runs: Iterable[dict[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """For each arm, number of pictures, length, size and rate that has all its seeds: mean and spread over them."""
    together: dict[tuple, list[dict[str, Any]]] = {}
    for run in runs:
        together.setdefault(key_of(run)[:-1], []).append(run)
    rows = []
    for (arm, count, epochs, height, lr), here in together.items():
        if len(here) < seeds:
            continue
        row = {"arm": arm, "pictures": count, "epochs": epochs, "height": height, "lr": lr}
        for name in ("iou", "train_iou"):
            values = [run[name] for run in here]
            row |= {name: round(statistics.mean(values), 4), f"{name}_spread": round(spread(values), 4)}
        row["seconds"] = round(statistics.mean(run["seconds"] for run in here), 1)
        for name in ("large", "small"):
            row[f"{name}_longer"] = round(statistics.mean(run["longer"][name] for run in here), 4)
        rows.append(row)
    return rows


def best_of(table: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each arm, number of pictures, length and size the row at the rate with the best mean IoU.

    "edge" says that it is the lowest or the highest rate that was tried, so that a better one may lie beyond it.
    """
    together: dict[tuple, list[dict[str, Any]]] = {}
    for row in table:
        key = (row["arm"], row["pictures"], row["epochs"], row["height"])
        together.setdefault(key, []).append(row)
    best = []
    for rows in together.values():
        rates = [row["lr"] for row in rows]
        first = max(rows, key=lambda row: row["iou"])
        best.append(first | {"edge": len(rows) > 1 and first["lr"] in (min(rates), max(rates))})
    return best


def tiny(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first seed of every arm and number of pictures, one rate, a few steps: to see that all of it runs."""
    kept: dict[tuple, dict[str, Any]] = {}
    for case in cases:
        small = case | {"size": TINY_SIZE, "count": min(case["count"], 8)}
        small["epochs"] = 6 if case["choice"]["warmup"] else 2  # more steps than warm-up
        kept.setdefault((small["arm"], small["count"]), small)
    return list(kept.values())


def run_all(
    arguments: argparse.Namespace,
    parser: argparse.ArgumentParser,
    what: str,
    *,
    cases: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    sums: Callable[[list[dict[str, Any]], int], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Run the cases that are not yet recorded, side by side, and write the record after each of them.

    Args:
        arguments: of `trainings_parser`.
        parser: refuses a record with other settings.
        what: one sentence on the record.
        cases: of `case_of`, in the order in which they are begun.
        settings: what is common to all runs.
        sums: makes the figures that stand above the runs, from these and the number of seeds.
    """
    seeds = len({case["choice"]["seed"] for case in cases})
    refuse_a_tiny_record(arguments, parser)
    if arguments.tiny:
        cases = tiny(cases)
        seeds = 1
    settings = {**settings, "batch_size": BATCH_SIZE, "tiny": arguments.tiny, "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    order = [key_of_case(case) for case in cases]
    left = [case for case in cases if key_of_case(case) not in done]
    for row in side_by_side(train, left, arguments.processes):
        print({name: row[name] for name in ("arm", "pictures", "epochs", "lr", "seed", "iou", "seconds")}, flush=True)
        runs = sorted([*runs, row], key=lambda run: order.index(key_of(run)))
        write_record(arguments.out, what, {"settings": settings, **sums(runs, seeds), "runs": runs})
    return runs
