"""What do two processes on two cores bring, and what does the larger batch cost that many processes tempt one to use?

- speed: images a second of the same training step, batch 4 at 320 wide and 240 high, by one process with two threads
  and by two processes with one thread each, in turns; the share of the step that the all-reduce takes (steps with it
  against steps without it, in turns). The quickest step of each start counts: other work can only slow one down. And
  the bytes that a process sends in a step, counted on the loopback interface.
- batches: validation IoU after some epochs with batch 4, with batch 8, and with batch 8 at twice the learning rate:
  what comes of two processes that keep 4 pictures each. One process trains them all: notebook 12 shows that two would
  do the same steps. BatchNorm sees the whole batch here.

    python benchmarks/many_processes.py [speed] [batches]        writes benchmarks/results/many_processes.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
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

ARMS = {"batch 4": (4, 1), "batch 8": (8, 1), "batch 8, twice the rate": (8, 2)}


def loopback_bytes() -> int:
    """Bytes that were sent from this machine to itself so far, by anybody; 0 where the system does not tell."""
    table = Path("/proc/net/dev")
    rows = table.read_text().splitlines() if table.exists() else []
    return next((int(row.split(":")[1].split()[8]) for row in rows if row.strip().startswith("lo:")), 0)


def step_by_step(size: tuple[int, int], steps: int) -> None:
    """Under torchrun: time steps with and, if there are several processes, without the all-reduce; 0 prints."""
    with process_group("cpu") as device:
        seed_everything(0)
        model = build_deeplab(verbose=False)
        replica, criterion = to_ddp(model, device), global_batch_loss(make_loss("bce_dice"), 4 // world_size())
        optimizer = make_optimizer(model, "adamw", lr=1e-3)
        images = torch.randn(4, 3, *size)[rank() :: world_size()].contiguous(memory_format=torch.channels_last)
        masks = (torch.rand(4, 1, *size) < 0.2).float()[rank() :: world_size()]

        def step() -> float:
            begin = time.perf_counter()
            optimizer.zero_grad()
            criterion(replica(images)["out"], masks).backward()
            optimizer.step()
            return time.perf_counter() - begin

        def step_alone() -> float:
            with replica.no_sync():
                return step()

        model.train()
        seconds: dict[str, list[float]] = {"step": [], "alone": []}
        sent = []
        for number in range(steps + 2):
            all_gather(None)  # begin together
            before = loopback_bytes()
            one = step()
            after = loopback_bytes()
            other = step_alone() if world_size() > 1 else one
            if number > 1:  # two to warm up
                seconds["step"].append(one)
                seconds["alone"].append(other)
                sent.append(after - before)
        if rank() == 0:
            parameters = sum(parameter.numel() for parameter in model.parameters())
            quickest = {name: min(values) for name, values in seconds.items()}  # other work can only add to a time
            told = quickest | {"loopback": statistics.median(sent) / world_size(), "gradients": 4 * parameters}
            print(json.dumps(told | {"outputs": 2 * 4 * masks[0].numel() * 4 // world_size()}))


def speed(size: tuple[int, int], steps: int, rounds: int) -> dict:
    """Both ways in turns, each in a start of its own; medians over the rounds."""
    told: dict[int, list[dict]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, rows in told.items():
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
            command += [__file__, "--work", "--steps", str(steps), "--size", *map(str, size)]
            threads = os.environ | {"OMP_NUM_THREADS": str(2 // count), "CUDA_VISIBLE_DEVICES": ""}
            done = subprocess.run(command, env=threads, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    rates = {count: [4 / row["step"] for row in rows] for count, rows in told.items()}
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    shares = [1 - row["alone"] / row["step"] for row in told[2]]
    last = told[2][-1]
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
        "bytes_sent_by_a_process": round(statistics.median(row["loopback"] for row in told[2])),
    }


def batches(size: tuple[int, int], epochs: int, seeds: int) -> dict:
    """Validation IoU of each arm for each seed: the last one, and after each epoch."""
    samples, device = ROOT / "data_samples", pick_device("cpu")
    split = read_split(samples / "split.json")
    vary, plain = (
        CustomDataset(samples / "images", samples / "masks", joint_transform=joint_transform(size, train))
        for train in (True, False)
    )
    validation = list(plain.subset(split.validation))
    runs = []
    for arm, (batch_size, times) in ARMS.items():
        for seed in range(seeds):
            seed_everything(seed)
            loaders = make_loaders(vary.subset(split.train), validation, batch_size, seed=seed)
            model = build_deeplab(verbose=False)
            optimizer = make_optimizer(model, "adamw", lr=1e-3 * times, head_lr=5e-3 * times, weight_decay=1e-4)
            steps = epochs * len(loaders[0])
            schedule = make_scheduler(optimizer, "poly", steps, warmup=steps // 12)
            history = fit(model, *loaders, make_loss("bce_dice"), optimizer, epochs, device, schedule)
            runs.append({"arm": arm, "seed": seed, "steps": steps, "validation_iou": history.validation_iou})
            print(arm, seed, f"{history.validation_iou[-1]:.3f}", flush=True)
    last = {arm: [run["validation_iou"][-1] for run in runs if run["arm"] == arm] for arm in ARMS}
    summary = {
        arm: {"steps": epochs * (32 // ARMS[arm][0]), "iou": round(statistics.mean(values), 3)}
        | {"iou_spread": round(statistics.stdev(values), 3) if len(values) > 1 else 0.0}
        for arm, values in last.items()
    }
    return {"size": size, "epochs": epochs, "seeds": seeds, "summary": summary, "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["speed", "batches"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, nargs=2, default=[240, 320])
    parser.add_argument("--small", type=int, nargs=2, default=[96, 128], help="size of the trainings")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "many_processes.json")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        step_by_step(tuple(arguments.size), arguments.steps)
        return
    stored = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    stored |= {"what": "one process with two threads against two with one; batch 4 against batch 8"}
    stored |= {"machine": machine()}
    for part in arguments.parts:
        if part == "speed":
            stored["speed"] = speed(tuple(arguments.size), arguments.steps, arguments.rounds)
        else:
            stored["batches"] = batches(tuple(arguments.small), arguments.epochs, arguments.seeds)
        arguments.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
