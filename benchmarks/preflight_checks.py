"""Which check of 12_silent_bugs finds which fault, with three seeds, and how often does one raise a false alarm?

Four parts, on the 32 training pictures at 160 wide and 120 high:

- choose: the script without a fault, ten seeds from 100 on, five pairs of pictures among the last ten. From these runs
  the limit of two by heart is chosen that stands in `seglib/lesson/silent_bugs/preflight.py`.
- count: scripts without a fault (the script as it is, and with a seed set in each epoch, which does no harm), ten seeds
  from 0 on, with each ten pairs of pictures among the other 22: a hundred runs, and none of them chose a limit.
- find: each of the faults of `seglib/lesson/silent_bugs/bugs.py`, three seeds, three of those pairs of pictures.
- right: each of its `RIGHT_CHANGES`, scripts of other kinds and without a fault, in the same way.

Recorded is the number that each check measured (null if the script stopped there; nothing where a check had nothing to
look at), so that other limits can be tried without another run. The sums are
made with the limits of the day on which the record is written.

    python -m benchmarks.preflight_checks      writes benchmarks/results/preflight_checks.json, goes on where it stopped
    python -m benchmarks.preflight_checks --tiny --out FILE     a minute, to see that it runs
"""

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.side_by_side import side_by_side
from seglib.data.splits import read_split
from seglib.device import Timer, seed_everything
from seglib.lesson.silent_bugs.bug_runs import SIZE, load_pairs
from seglib.lesson.silent_bugs.bugs import (
    ALL_BUGS,
    BUGS,
    HARMLESS,
    LAST_BUGS,
    LATE_BUGS,
    MORE_BUGS,
    RIGHT_CHANGES,
    script_with,
)
from seglib.lesson.silent_bugs.preflight import LIMITS, run_preflight

NO_BUG = "none"
PARTS = ("choose", "find", "count", "right")
HARMFUL = [bug for bug in ALL_BUGS if bug != HARMLESS]
CHOSEN_FROM = (22, 24, 26, 28, 30)  # where a pair of pictures begins, in the list of 32
COUNTED_ON = tuple(range(0, 20, 2))
LISTS = {"first seventeen": BUGS, "next twelve": MORE_BUGS, "next six": LATE_BUGS, "last six": LAST_BUGS}


def measure(part: str, bug: str, seed: int, first: int, files: Path) -> dict[str, Any]:
    """All checks on one script; `first` is the place of the first of the two pictures."""
    fault = None if bug == NO_BUG else bug
    train_pairs, validation_pairs = load_pairs(fault, files, read_split(SAMPLES / "split.json"))
    train_pairs = train_pairs[first:] + train_pairs[:first]
    seed_everything(seed)
    with Timer() as timer:
        results = run_preflight(script_with(fault), train_pairs, validation_pairs, size=SIZE)
    values = {
        result.name: None if math.isnan(result.value) else round(result.value, 5)
        for result in results
        if not result.unchecked
    }
    return {
        "part": part,
        "bug": bug,
        "seed": seed,
        "first": first,
        "values": values,
        "seconds": round(timer.seconds, 1),
    }


def cases_of() -> list[dict[str, Any]]:
    """The runs of the four parts, in the order in which they are begun."""
    choose = [(NO_BUG, 100 + number, CHOSEN_FROM[number % 5]) for number in range(10)]
    scripts = (NO_BUG, HARMLESS)
    count = [(scripts[(seed + first // 2) % 2], seed, first) for seed in range(10) for first in COUNTED_ON]
    find = [(bug, seed, COUNTED_ON[3 * seed]) for seed in range(3) for bug in HARMFUL]
    right = [(change, seed, COUNTED_ON[3 * seed]) for seed in range(3) for change in RIGHT_CHANGES]
    parts = {"choose": choose, "find": find, "count": count, "right": right}
    return [
        {"part": part, "bug": bug, "seed": seed, "first": first}
        for part, runs in parts.items()
        for bug, seed, first in runs
    ]


def key_of(run: dict[str, Any]) -> tuple[str, str, int, int]:
    return run["part"], run["bug"], run["seed"], run["first"]


def failed(values: dict[str, float | None]) -> list[str]:
    """The checks whose value lies outside its limits."""
    outside = []
    for name, value in values.items():
        low, high = LIMITS[name]
        if value is None or not low <= value <= high:
            outside.append(name)
    return outside


def failures_by_script(runs: list[dict[str, Any]], part: str) -> dict[str, dict[str, int]]:
    """Script -> check -> with how many seeds it fails."""
    table: dict[str, dict[str, int]] = {}
    for run in runs:
        if run["part"] == part:
            row = table.setdefault(run["bug"], {})
            for name in failed(run["values"]):
                row[name] = row.get(name, 0) + 1
    return table


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the lesson says in one number each, and which check fails on which script: "found" and "right"."""
    by_part = {part: [run["values"] for run in runs if run["part"] == part] for part in PARTS}
    every_seed: dict[str, bool] = {}
    for run in runs:
        if run["part"] == "find":
            every_seed[run["bug"]] = every_seed.get(run["bug"], True) and bool(failed(run["values"]))
    alarms: dict[str, int] = {}
    for values in by_part["count"]:
        for name in failed(values):
            alarms[name] = alarms.get(name, 0) + 1
    return {
        "limits": {name: list(limits) for name, limits in LIMITS.items()},
        "lowest_two_by_heart": {
            part: min(values["two by heart: IoU"] for values in by_part[part])
            for part in ("choose", "count")
            if by_part[part]
        },
        "runs_without_a_fault": len(by_part["count"]),
        "runs_with_a_false_alarm": sum(bool(failed(values)) for values in by_part["count"]),
        "false_alarms": alarms,
        "found_with_every_seed": {
            name: [sum(every_seed.get(bug, False) for bug in bugs), sum(bug in every_seed for bug in bugs)]
            for name, bugs in LISTS.items()
        },
        "found": failures_by_script(runs, "find"),
        "right": failures_by_script(runs, "right"),
    }


def main() -> None:
    parser = trainings_parser(__doc__, "preflight_checks")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="[all]")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    settings = {"height": SIZE[0], "width": SIZE[1], "weights": weights_used(), "tiny": arguments.tiny}
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    cases = cases_of()
    order = [key_of(case) for case in cases]
    cases = [case for case in cases if case["part"] in arguments.parts]
    if arguments.tiny:
        cases = [next(case for case in cases_of() if case["part"] == part) for part in PARTS]
    what = "the checks of 12_silent_bugs on scripts with and without a fault: what each check measured"
    with shrunk_copies(sample_files(), (2 * SIZE[0], 2 * SIZE[1])) as files:
        left = [{**case, "files": files} for case in cases if key_of(case) not in done]
        for row in side_by_side(measure, left, arguments.processes):
            print({**row, "values": failed(row["values"])}, flush=True)
            runs = sorted([*runs, row], key=lambda run: order.index(key_of(run)))
            write_record(arguments.out, what, {"settings": settings, **summary(runs), "runs": runs})
    write_record(arguments.out, what, {"settings": settings, **summary(runs), "runs": runs})  # with today's limits
    print(json.dumps(summary(runs), indent=1))


if __name__ == "__main__":
    main()
