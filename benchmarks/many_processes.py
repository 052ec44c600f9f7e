"""How much faster are two processes on two cores, and what does the larger batch cost that several processes invite?

- speed: images a second of the same training step, batch 4 at 320 wide and 240 high, by one process with two threads
  and by two processes with one thread each, in turns; the share of the step that the all-reduce takes (steps with it
  against steps without it, in turns). The quickest step of each start counts: other work can only slow one down. And
  the bytes that a process sends in a step, counted on the loopback interface.
- batches: validation IoU after some epochs with batch 4, with batch 8, and with batch 8 at twice the learning rate:
  what comes of two processes that keep 4 pictures each. One process trains them all: notebook 14 shows that two would
  do the same steps. BatchNorm sees the whole batch here.

    python -m benchmarks.many_processes [speed] [batches]        writes benchmarks/results/many_processes.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.common.results import ROOT, option_parser, read_record, write_record
from benchmarks.common.samples import SAMPLES
from benchmarks.common.seeds import spread
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.distributed import all_gather, global_batch_loss, process_group, rank, to_ddp, world_size
from seglib.training.loop import fit

BATCH = 4
ARMS = {"batch 4": (4, 1), "batch 8": (8, 1), "batch 8, twice the rate": (8, 2)}  # batch size, factor of the rates


def loopback_bytes() -> int:
    """Bytes that were sent from this machine to itself so far, by anybody; 0 where the system does not tell."""
    table = Path("/proc/net/dev")
    rows = table.read_text().splitlines() if table.exists() else []
    return next((int(row.split(":")[1].split()[8]) for row in rows if row.strip().startswith("lo:")), 0)


def time_steps(size: tuple[int, int], steps: int) -> None:
    """Under torchrun: time steps with and, if there are several processes, without the all-reduce; rank 0 prints."""
    with process_group("cpu") as device:
        seed_everything(0)
        model = build_deeplab(verbose=False).train()
        replica = to_ddp(model, device)
        criterion = global_batch_loss(make_loss("bce_dice"), BATCH // world_size())
        optimizer = make_optimizer(model, "adamw", lr=1e-3)
        images = torch.randn(BATCH, 3, *size)[rank() :: world_size()].contiguous(memory_format=torch.channels_last)
        masks = (torch.rand(BATCH, 1, *size) < 0.2).float()[rank() :: world_size()]

        def step() -> float:
            begin = time.perf_counter()
            optimizer.zero_grad()
            criterion(replica(images)["out"], masks).backward()
            optimizer.step()
            return time.perf_counter() - begin

        def step_without_all_reduce() -> float:
            with replica.no_sync():
                return step()

        figures = compare_steps(step, step_without_all_reduce, steps)
        if rank() == 0:
            figures["gradients"] = 4 * sum(parameter.numel() for parameter in model.parameters())
            figures["outputs"] = 2 * 4 * masks[0].numel() * BATCH // world_size()
            print(json.dumps(figures))


def compare_steps(
    step: Callable[[], float], step_without_all_reduce: Callable[[], float], steps: int
) -> dict[str, float]:
    """The quickest step with and without the all-reduce, in seconds, and the median of the bytes that a step sends."""
    seconds = []
    seconds_without = []
    sent = []
    for number in range(steps + 2):
        all_gather(None)  # begin together
        before = loopback_bytes()
        duration = step()
        after = loopback_bytes()
        without = step_without_all_reduce() if world_size() > 1 else duration
        if number > 1:  # two to warm up
            seconds.append(duration)
            seconds_without.append(without)
            sent.append(after - before)
    return {
        "step": min(seconds),  # other programs can only add to a time
        "without_all_reduce": min(seconds_without),
        "loopback": statistics.median(sent) / world_size(),
    }


def start_steps(count: int, size: tuple[int, int], steps: int) -> dict[str, float]:
    """`time_steps` in `count` processes with two threads together; what rank 0 printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "benchmarks.many_processes", "--work", "--steps", str(steps), "--size", *map(str, size)]
    environment = os.environ | {"OMP_NUM_THREADS": str(2 // count), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def speed(size: tuple[int, int], steps: int, rounds: int) -> dict:
    """One process and two, in turns, each in a start of its own; medians over the rounds."""
    rows: dict[int, list[dict]] = {1: [], 2: []}
    for _ in range(rounds):
        for count in rows:
            rows[count].append(start_steps(count, size, steps))
    rates = {count: [BATCH / row["step"] for row in some] for count, some in rows.items()}
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    shares = [1 - row["without_all_reduce"] / row["step"] for row in rows[2]]
    last = rows[2][-1]
    return {
        "size": size,
        "steps": steps,
        "rounds": rounds,
        "load_before": round(os.getloadavg()[0], 1),
        "images_a_second": {str(count): round(statistics.median(values), 2) for count, values in rates.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in sorted(ratios)],
        "share_of_all_reduce": round(statistics.median(shares), 3),
        "shares_of_all_reduce": [round(share, 3) for share in sorted(shares)],
        "bytes_of_gradients": last["gradients"],
        "bytes_of_outputs_and_masks": last["outputs"],
        "bytes_sent_by_a_process": round(statistics.median(row["loopback"] for row in rows[2])),
    }


def train(arm: str, seed: int, datasets: tuple[CustomDataset, list], epochs: int) -> dict:
    """One training of an arm: the IoU on the validation pictures after each epoch."""
    batch_size, factor = ARMS[arm]
    seed_everything(seed)
    train_dataloader, validation_dataloader = make_loaders(*datasets, batch_size, seed=seed)
    model = build_deeplab(verbose=False)
    optimizer = make_optimizer(model, "adamw", lr=1e-3 * factor, head_lr=5e-3 * factor, weight_decay=1e-4)
    steps = epochs * len(train_dataloader)
    history = fit(
        model,
        train_dataloader,
        validation_dataloader,
        make_loss("bce_dice"),
        optimizer,
        epochs=epochs,
        device=pick_device("cpu"),
        scheduler=make_scheduler(optimizer, "poly", steps, warmup=steps // 12),
    )
    return {"arm": arm, "seed": seed, "steps": steps, "validation_iou": history.validation_iou}


def summary_of(arm: str, runs: list[dict]) -> dict:
    """Steps of an arm, mean and spread of its last IoU."""
    here = [run for run in runs if run["arm"] == arm]
    last = [run["validation_iou"][-1] for run in here]
    return {
        "steps": here[0]["steps"],
        "iou": round(statistics.mean(last), 3),
        "iou_spread": round(spread(last), 3),
    }


def batches(size: tuple[int, int], epochs: int, seeds: int) -> dict:
    """Validation IoU of each arm for each seed: the last one, and after each epoch."""
    folders = SAMPLES / "images", SAMPLES / "masks"
    split = read_split(SAMPLES / "split.json")
    varied = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(split.train)
    plain = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    datasets = varied, list(plain)
    runs = []
    for arm in ARMS:
        for seed in range(seeds):
            runs.append(train(arm, seed, datasets, epochs))
            print(arm, seed, f"{runs[-1]['validation_iou'][-1]:.3f}", flush=True)
    summary = {arm: summary_of(arm, runs) for arm in ARMS}
    return {"size": size, "epochs": epochs, "seeds": seeds, "summary": summary, "runs": runs}


def main() -> None:
    parser = option_parser(__doc__, "many_processes")
    parser.add_argument("parts", nargs="*", default=["speed", "batches"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, nargs=2, default=[240, 320])
    parser.add_argument("--small", type=int, nargs=2, default=[96, 128], help="size of the trainings")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        time_steps(tuple(arguments.size), arguments.steps)
        return
    figures = read_record(arguments.out)
    for part in arguments.parts:
        if part == "speed":
            figures["speed"] = speed(tuple(arguments.size), arguments.steps, arguments.rounds)
        else:
            figures["batches"] = batches(tuple(arguments.small), arguments.epochs, arguments.seeds)
        write_record(
            arguments.out, "one process with two threads against two with one; batch 4 against batch 8", figures
        )


if __name__ == "__main__":
    main()
