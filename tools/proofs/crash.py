"""Kills a training at random moments, again and again, and sees that nothing is lost. Used by `make crash`.

A training of a small DeepLab on pictures of noise runs once without a stop. Then it runs in a folder of its own and is
killed (SIGKILL, as when a machine loses its power) at random moments: in an epoch, or while a checkpoint is written. It
is started anew each time, and goes on from its checkpoint. Three things are asked of it:

- it goes on with the epoch after the last one that was saved, so nothing is lost but the epoch under way;
- no start finds a checkpoint damaged;
- in the end its weights are those of the training that was never stopped, bit for bit.

    python tools/proofs/crash.py [--kills 50]        writes benchmarks/results/crash.json when all 50 are made
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "crash.json"
SIZE = (48, 64)  # (height, width)


def train(folder: Path, epochs: int) -> None:
    """Train, or go on with the training in `folder`; says on stdout where it is. Runs in a process of its own."""
    import torch

    from seglib import build_deeplab, fit, make_loss
    from seglib.data.dataloaders import make_loaders
    from seglib.device import pick_device, seed_everything
    from seglib.optim import make_optimizer, make_scheduler
    from seglib.training.checkpoint import Checkpoint
    from seglib.training.early_stopping import EarlyStopping

    class Noise:
        """Four pictures that torch's chance draws anew each time, and their masks."""

        def __len__(self) -> int:
            return 4

        def __getitem__(self, idx: int) -> tuple[torch.Tensor, torch.Tensor]:
            mask = torch.zeros(1, *SIZE)  # (1, H, W)
            mask[:, 8 : 24 + 4 * idx, 16:48] = 1
            return torch.randn(3, *SIZE) + 2 * mask, mask

    def say(*words: object) -> None:
        print(*words, flush=True)

    seed_everything(0)
    model, criterion, device = build_deeplab(weights=None, verbose=False), make_loss("bce"), pick_device("cpu")
    train_dataloader, validation_dataloader = make_loaders(Noise(), [Noise()[idx] for idx in (0, 3)], batch_size=2)
    optimizer = make_optimizer(model, "adamw", lr=1e-3, weight_decay=1e-4)
    schedule = make_scheduler(optimizer, "poly", steps=2 * epochs, warmup=2)
    stopping = EarlyStopping(model, patience=epochs)
    parts = {"schedule": schedule, "stopping": stopping}
    checkpoint = Checkpoint(folder / "run.pt", model, criterion, optimizer, train_dataloader, size=SIZE, **parts)
    history = checkpoint.resume()
    say("resumed", len(history.train_loss))

    def on_epoch(history) -> None:
        say("saving", len(history.train_loss))
        checkpoint.save(history)
        say("saved", len(history.train_loss))

    loaders = train_dataloader, validation_dataloader
    fit(model, *loaders, criterion, optimizer, epochs, device, schedule, on_epoch, stopping=stopping, history=history)
    tensors = (tensor.contiguous().numpy().tobytes() for tensor in model.state_dict().values())
    say("weights", hashlib.sha256(b"".join(tensors)).hexdigest())


class Life:
    """One process of the training, from its start to its end or to its death."""

    def __init__(self, folder: Path, epochs: int):
        command = [sys.executable, str(Path(__file__).resolve()), "--train", str(folder), "--epochs", str(epochs)]
        quiet = os.environ | {"TQDM_DISABLE": "1"}  # a bar would fill the pipe, which nobody empties
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=quiet, **pipes)
        self.told: list[tuple[str, str, float]] = []  # word, value, moment
        self.odd: list[str] = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            word, _, value = line.strip().partition(" ")
            with self.news:
                if word in ("resumed", "saving", "saved", "weights"):
                    self.told.append((word, value, time.perf_counter()))
                else:
                    self.odd.append(line.strip())
                self.news.notify_all()
        with self.news:
            self.told.append(("gone", "", time.perf_counter()))
            self.news.notify_all()

    def wait_for(self, *words: str) -> str:
        """Until one of the words is told; gives that word back."""
        with self.news:
            self.news.wait_for(lambda: {word for word, _, _ in self.told} & {*words, "gone"}, timeout=600)
            return next((word for word, _, _ in self.told if word in words), "gone")

    def values(self, word: str) -> list[str]:
        return [value for each, value, _ in self.told if each == word]

    def moment(self, word: str) -> float:
        return next(when for each, _, when in self.told if each == word)

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> str:
        self.process.wait()
        self.reader.join()
        return self.process.stderr.read() if self.process.stderr else ""


def whole_run(epochs: int) -> dict[str, object]:
    """The training without a stop: its weights, and the seconds of an epoch and of a save."""
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), epochs)
        if life.wait_for("weights") == "gone":
            raise SystemExit(life.end())
        life.end()
        moments = {word: [when for each, _, when in life.told if each == word] for word in ("saving", "saved")}
        saves = [saved - saving for saving, saved in zip(moments["saving"], moments["saved"], strict=True)]
        steps = [begin - end for begin, end in zip(moments["saving"][1:], moments["saved"], strict=False)]
        return {"weights": life.values("weights")[0], "save": sum(saves) / len(saves), "epoch": sum(steps) / len(steps)}


def crash(kills: int, seed: int = 0) -> dict[str, object]:
    """Kill so many times, then let it end; what happened, in numbers."""
    chance, epochs = random.Random(seed), kills + 4
    whole = whole_run(epochs)
    counts = {"kills": 0, "while saving": 0, "starts": 0, "epochs lost": 0, "damaged": 0}
    with tempfile.TemporaryDirectory() as folder:
        saved = 0  # the last epoch whose save was told
        while True:
            life = Life(Path(folder), epochs)
            counts["starts"] += 1
            if life.wait_for("resumed") == "gone":
                raise SystemExit(f"a start failed:\n{life.end()}")
            counts["epochs lost"] += max(0, saved - int(life.values("resumed")[0]))
            if counts["kills"] == kills:
                break
            in_save = chance.random() < 0.5
            if life.wait_for("saving" if in_save else "resumed") == "gone":
                raise SystemExit(f"it ended before it was killed:\n{life.end()}")
            time.sleep(chance.random() * 1.2 * float(str(whole["save" if in_save else "epoch"])))
            life.kill()
            counts["kills"] += 1
            counts["while saving"] += len(life.values("saving")) > len(life.values("saved"))
            counts["damaged"] += len(life.odd)
            saved = max([saved, *map(int, life.values("saved"))])
        if life.wait_for("weights") == "gone":
            raise SystemExit(life.end())
        life.end()
        counts["damaged"] += len(life.odd)
        same = life.values("weights") == [whole["weights"]]
        left = sorted(path.name for path in Path(folder).iterdir())
    return counts | {"differing weights": int(not same), "epochs": epochs, "files left": left}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT)]
    if arguments.train:
        train(arguments.train, arguments.epochs)
        return 0
    from benchmarks.common.machine import machine

    begin = time.perf_counter()
    counts = crash(arguments.kills, arguments.seed)
    for name, count in counts.items():
        print(f"{name}: {count}")
    if arguments.kills >= 50:
        result = {"what": "a training killed at random moments and gone on with, against one that was never stopped"}
        result |= {"machine": machine(), "seconds": round(time.perf_counter() - begin), **counts}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    return int(any(counts[name] for name in ("epochs lost", "damaged", "differing weights")))


if __name__ == "__main__":
    sys.exit(main())
