"""What does seglib's loop gain on a CPU? One step, and a whole training, against the notes' loop on the same machine.

Three questions:
- mobilenet: one step of `deeplabv3_mobilenet_v3_large`, batch 4 at 320 wide and 240 high, float32. The notes' loop as
  written against `train_one_epoch`: same model, batch, loss (MSE), optimizer and weights. What differs is the order in
  memory (channels-last) and the loss, which is not read from the model's device in each step.
- resnet50: the same with `deeplabv3_resnet50`, where ours also computes in bfloat16 (autocast); and the IoU after a
  training in both, three seeds each, from random weights.
- fit: `fit` for 10 epochs by our recipe, three seeds: IoU, and seconds on all cores, validation included.

How many steps and seconds both recipes need to reach an IoU is measured in `benchmarks/hundred_epochs.py`.

    python -m benchmarks.cpu_step [mobilenet] [fit] [resnet50]      writes benchmarks/results/cpu_step.json

Each run of a training is stored when it is done, and not run again: a long benchmark may be stopped and go on.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from benchmarks.common.fast_cpu import Bfloat16
from benchmarks.common.recorded_ceiling import ceiling_at
from benchmarks.common.results import option_parser, read_record, write_record
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import Loss, make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, fit, train_one_epoch

CPU = pick_device("cpu")
SEEDS = (0, 1, 2)
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "amx_int8")
Batch = tuple[Tensor, Tensor]
MOBILENET = "deeplabv3_mobilenet_v3_large"
RESNET = "deeplabv3_resnet50"
PARTS = ("mobilenet", "fit", "resnet50")


def flags() -> list[str]:
    """Which of the instructions that matter here this CPU has, where the system gives them away."""
    cpuinfo = Path("/proc/cpuinfo")
    words = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.exists() else []
    return [flag for flag in FLAGS if flag in words]


def plain(model: nn.Module) -> nn.Module:
    """The model as torchvision gives it, channels first in memory."""
    return model.to(memory_format=torch.contiguous_format)


def notes_epoch(pretrained_deeplab: nn.Module, train_dataloader: Iterable[Batch], optimizer: optim.Optimizer) -> float:
    """The notes' inner loop, word for word but for the device."""
    device = CPU
    criterion = nn.MSELoss(reduction="mean")
    pretrained_deeplab.train()
    total_loss = 0
    count = 0
    for images, masks in train_dataloader:
        images = images.to(device)
        masks = masks.to(device)
        optimizer.zero_grad()

        # Forward pass
        outputs = pretrained_deeplab(images)["out"]

        # Calculate the loss
        loss = criterion(outputs, masks.float())
        count += 4
        total_loss += loss.item()

        # Backward pass and optimization
        loss.backward()
        optimizer.step()
    return total_loss / count


def seconds_in_turns(loops: dict[str, Callable[[], object]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of a step of each loop, round by round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds + 1):
        for name, loop in loops.items():
            begin = time.perf_counter()
            loop()
            seconds[name].append((time.perf_counter() - begin) / steps)
    return {name: values[1:] for name, values in seconds.items()}


def one_step(
    name: str,
    weights: str | None,
    batch: Batch,
    *,
    rounds: int,
    steps: int,
    wrap: Callable[[nn.Module], nn.Module] | None = None,
) -> dict:
    """Seconds of a step of both loops, in turns, the ratio in each round; how far apart the logits of the models are.

    Args:
        name, weights: as in `build_deeplab`.
        batch: images and masks.
        rounds: each loop runs so often, after once that is not counted.
        steps: in a round.
        wrap: what ours does with its model, if anything.
    """
    seed_everything(0)
    notes = build_deeplab(name, weights=weights, verbose=False)
    ours = build_deeplab(name, weights=weights, verbose=False)
    ours.load_state_dict(notes.state_dict())  # the last layer is drawn at random
    notes = plain(notes)
    fast = wrap(ours) if wrap else ours
    with torch.inference_mode():
        logits = [model.eval()(batch[0])["out"] for model in (notes, fast)]
    notes_adam, our_adam = (optim.Adam(model.parameters(), lr=1e-5) for model in (notes, ours))
    loops: dict[str, Callable[[], object]] = {
        "notes": lambda: notes_epoch(notes, [batch] * steps, notes_adam),
        "seglib": lambda: train_one_epoch(fast, [batch] * steps, make_loss("mse"), our_adam, CPU),
    }
    seconds = seconds_in_turns(loops, rounds, steps)
    ratios = [slow / quick for slow, quick in zip(seconds["notes"], seconds["seglib"], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "lowest_and_highest_ratio": [round(min(ratios), 3), round(max(ratios), 3)],
        "notes_seconds": round(statistics.median(seconds["notes"]), 4),
        "seglib_seconds": round(statistics.median(seconds["seglib"]), 4),
        "largest_difference_of_logits": float((logits[0] - logits[1]).abs().max()),
        "rounds": rounds,
        "steps_in_a_round": steps,
    }


def loaders(files: Path, size: tuple[int, int], seed: int) -> tuple[DataLoader, DataLoader]:
    """Augmented training batches and plain validation batches of files that were shrunk once."""
    split = read_split(SAMPLES / "split.json")
    folders = files / "images", files / "masks"
    train = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(split.train)
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    return make_loaders(train, list(validation), batch_size=4, seed=seed)


def our_recipe(model: nn.Module, steps: int) -> tuple[Loss, optim.Optimizer, optim.lr_scheduler.LRScheduler]:
    """Loss, optimizer and schedule of our recipe."""
    optimizer = make_optimizer(model, "adam", lr=1e-3, head_lr=5e-3)
    return make_loss("bce_dice"), optimizer, make_scheduler(optimizer, "poly", steps, warmup=min(8, steps // 4))


def train_mobilenet(seed: int, files: Path, size: tuple[int, int], epochs: int) -> dict:
    """`fit` with our recipe, as a reader calls it."""
    seed_everything(seed)
    train_dataloader, validation_dataloader = loaders(files, size, seed)
    model = build_deeplab(MOBILENET, weights="bundled", verbose=False)
    criterion, optimizer, scheduler = our_recipe(model, epochs * len(train_dataloader))
    begin = time.perf_counter()
    history = fit(
        model,
        train_dataloader,
        validation_dataloader,
        criterion,
        optimizer,
        epochs=epochs,
        device=CPU,
        scheduler=scheduler,
    )
    return {"seed": seed, "iou": history.validation_iou[-1], "seconds": round(time.perf_counter() - begin, 1)}


def train_resnet(kind: str, seed: int, files: Path, size: tuple[int, int], epochs: int) -> dict:
    """Train ResNet-50 from random weights by our recipe, in float32 or in bfloat16; its IoU at the end."""
    seed_everything(seed)
    train_dataloader, validation_dataloader = loaders(files, size, seed)
    model = build_deeplab(RESNET, weights=None, verbose=False)
    criterion, optimizer, scheduler = our_recipe(model, epochs * len(train_dataloader))
    fast = Bfloat16(model) if kind == "bfloat16" else model
    begin = time.perf_counter()
    for _ in range(epochs):
        train_one_epoch(fast, train_dataloader, criterion, optimizer, CPU, scheduler=scheduler)
    seconds = time.perf_counter() - begin
    score = evaluate(fast, validation_dataloader, criterion, CPU).iou
    row = {"kind": kind, "seed": seed, "epochs": epochs, "iou": round(score, 4), "seconds": round(seconds, 1)}
    print(row, flush=True)
    return row


def spread_of(runs: list[dict]) -> dict:
    """Mean and standard deviation over the seeds of the final IoU, for float32 and bfloat16; do they agree?"""
    table = {}
    for kind in ("float32", "bfloat16"):
        ious = [run["iou"] for run in runs if run["kind"] == kind]
        if len(ious) > 1:
            table[kind] = {"mean": round(statistics.mean(ious), 4), "spread": round(statistics.stdev(ious), 4)}
    if len(table) == 2:
        apart = abs(table["float32"]["mean"] - table["bfloat16"]["mean"])
        table["within_the_spread"] = apart <= max(side["spread"] for side in table.values())
    return table


def fit_part(runs: list[dict], ceiling: float) -> dict:
    mean = statistics.mean(run["iou"] for run in runs)
    return {
        "share_of_ceiling": round(mean / ceiling, 3),
        "longest_seconds": max(run["seconds"] for run in runs),
        "mean": round(mean, 4),
        "runs": runs,
    }


def main() -> None:
    parser = option_parser(__doc__, "cpu_step")
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), help="height width")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3, help="in a round")
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 8), help="of fit, of ResNet-50")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    fit_epochs, resnet_epochs = arguments.epochs
    figures = read_record(arguments.out)
    figures |= {"flags": flags(), "threads": torch.get_num_threads()}
    figures |= {"height": size[0], "width": size[1], "batch_size": 4}

    def store(part: str, value: Any) -> None:
        figures[part] = value
        write_record(arguments.out, "seglib's loop against the notes' on a CPU", figures)

    with shrunk_copies(sample_files(), (size[0] * 3 // 2, size[1] * 3 // 2)) as files:
        batch = tuple(next(iter(loaders(files, size, 0)[1])))
        if "mobilenet" in arguments.parts:
            step = one_step(MOBILENET, "bundled", batch, rounds=arguments.rounds, steps=arguments.steps)
            print(step, flush=True)
            store("mobilenet", step)
        if "fit" in arguments.parts:
            runs = [train_mobilenet(seed, files, size, fit_epochs) for seed in arguments.seeds]
            store("fit", fit_part(runs, ceiling_at(size)))
            print(figures["fit"], flush=True)
        if "resnet50" in arguments.parts:
            step = one_step(RESNET, None, batch, rounds=max(1, arguments.rounds // 2), steps=1, wrap=Bfloat16)
            print(step, flush=True)
            runs = figures.get("resnet50", {}).get("runs", [])
            done = {(run["kind"], run["seed"]) for run in runs}
            store("resnet50", {**step, "training": spread_of(runs), "runs": runs})
            for seed, kind in itertools.product(arguments.seeds, ("bfloat16", "float32")):
                if (kind, seed) not in done:
                    runs.append(train_resnet(kind, seed, files, size, resnet_epochs))
                    store("resnet50", {**step, "training": spread_of(runs), "runs": runs})


if __name__ == "__main__":
    main()
