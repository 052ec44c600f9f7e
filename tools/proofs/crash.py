"""Kills a training at random moments, again and again, and sees that nothing is lost. Used by `make crash`.

A training of a small DeepLab on pictures of noise runs once without a stop. Then it runs in a folder of its own and is
killed at random moments, in an epoch or while a checkpoint is written. It is killed by SIGKILL, which leaves a process
no time for a last word; the system stays up, so this is no power failure. It is started anew each time, and goes on
from its checkpoint. Three things are asked of it:

- it goes on with the epoch after the last one that was saved, so nothing is lost but the epoch under way;
- no start finds a checkpoint damaged;
- in the end its weights are those of the training that was never stopped, bit for bit.

    python -m tools.proofs.crash [--kills 50]        writes benchmarks/results/crash.json when all 50 are made
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from benchmarks.common.results import ROOT, results_path, write_record
from seglib import build_deeplab, fit, make_loss
from seglib.data.dataloaders import make_loaders
from seglib.device import pick_device, seed_everything
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.checkpoint import Checkpoint
from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History

SIZE = (48, 64)  # (height, width)
RECORDED_KILLS = 50  # fewer are not recorded
PATIENCE = 600  # seconds that a message of the training may take
END = "end"  # the message for the end of the output: the process has ended
KNOWN = ("resumed", "saving", "saved", "weights")  # the other messages

# The training, which runs in a process of its own and says on stdout where it is.


class Noise(Dataset):
    """Four pictures that torch's random numbers draw anew each time, and their masks."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, idx: int) -> tuple[Tensor, Tensor]:
        mask = torch.zeros(1, *SIZE)  # (1, H, W)
        mask[:, 8 : 24 + 4 * idx, 16:48] = 1
        return torch.randn(3, *SIZE) + 2 * mask, mask


def train(folder: Path, epochs: int) -> None:
    """Train, or go on with the training whose checkpoint lies in `folder`."""
    seed_everything(0)
    model = build_deeplab(weights=None, verbose=False)
    criterion = make_loss("bce")
    validation = [Noise()[idx] for idx in (0, 3)]
    train_dataloader, validation_dataloader = make_loaders(Noise(), validation, batch_size=2)  # type: ignore[arg-type]
    optimizer = make_optimizer(model, "adamw", lr=1e-3, weight_decay=1e-4)
    scheduler = make_scheduler(optimizer, "poly", steps=2 * epochs, warmup=2)
    stopping = EarlyStopping(model, patience=epochs)
    checkpoint = Checkpoint(
        folder / "run.pt",
        model,
        criterion,
        optimizer,
        train_dataloader,
        size=SIZE,
        scheduler=scheduler,
        stopping=stopping,
    )
    history = checkpoint.resume()
    say("resumed", len(history.train_loss))

    def save(history: History) -> None:
        say("saving", len(history.train_loss))
        checkpoint.save(history)
        say("saved", len(history.train_loss))

    fit(
        model,
        train_dataloader,
        validation_dataloader,
        criterion,
        optimizer,
        epochs=epochs,
        device=pick_device("cpu"),
        scheduler=scheduler,
        stopping=stopping,
        history=history,
        on_epoch=save,
    )
    say("weights", checksum(model))


def say(*words: object) -> None:
    print(*words, flush=True)


def checksum(model: nn.Module) -> str:
    """SHA-256 of all weights and running statistics."""
    tensors = (tensor.contiguous().numpy().tobytes() for tensor in model.state_dict().values())
    return hashlib.sha256(b"".join(tensors)).hexdigest()


# The program that starts and kills it.


class Message(NamedTuple):
    """A line of the training: one of `KNOWN` or `END`, the number or checksum behind it, and when it was read."""

    word: str
    value: str
    seconds: float


class TrainingProcess:
    """A process that runs `train`; a thread reads its messages while the program waits for one of them."""

    def __init__(self, folder: Path, epochs: int):
        command = [sys.executable, "-m", "tools.proofs.crash", "--train", str(folder), "--epochs", str(epochs)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"TQDM_DISABLE": "1"},  # a bar would fill the pipe of stderr, which is read at the end
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.messages: list[Message] = []
        self.other_lines: list[str] = []  # such as that a damaged file was found
        self.received = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            word, _, value = line.strip().partition(" ")
            if word in KNOWN:
                self._receive(word, value)
            else:
                self.other_lines.append(line.strip())
        self._receive(END, "")

    def _receive(self, word: str, value: str) -> None:
        with self.received:
            self.messages.append(Message(word, value, time.perf_counter()))
            self.received.notify_all()

    def wait_for(self, word: str) -> None:
        """Until the word is received; raises SystemExit, with what it wrote on stderr, if the process ends before."""
        with self.received:
            self.received.wait_for(lambda: self.values(word) or self.values(END), timeout=PATIENCE)
        if not self.values(word):
            self.process.kill()  # it has ended, or has been silent for too long
            raise SystemExit(f'the training ended before "{word}":\n{self.end()}')

    def values(self, word: str) -> list[str]:
        return [message.value for message in self.messages if message.word == word]

    def times(self, word: str) -> list[float]:
        return [message.seconds for message in self.messages if message.word == word]

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> str:
        """Wait for the end of the process; returns what it wrote on stderr."""
        errors = self.process.stderr.read() if self.process.stderr else ""
        self.process.wait()
        self.reader.join()
        return errors


@dataclass(frozen=True)
class UninterruptedRun:
    """The training without a stop: the checksum of its weights, and the mean seconds of a save and of an epoch."""

    weights: str
    save: float
    epoch: float


def run_uninterrupted(epochs: int) -> UninterruptedRun:
    with tempfile.TemporaryDirectory() as folder:
        process = TrainingProcess(Path(folder), epochs)
        process.wait_for("weights")
        process.end()
    saving = process.times("saving")
    saved = process.times("saved")
    saves = [end - begin for begin, end in zip(saving, saved, strict=True)]
    epochs_alone = [end - begin for begin, end in zip(saved, saving[1:], strict=False)]
    return UninterruptedRun(
        weights=process.values("weights")[0],
        save=sum(saves) / len(saves),
        epoch=sum(epochs_alone) / len(epochs_alone),
    )


def kill_at_random(process: TrainingProcess, rng: random.Random, typical: UninterruptedRun) -> None:
    """Kill the process in its first epoch, or while it saves, each in half of all cases."""
    in_save = rng.random() < 0.5
    process.wait_for("saving" if in_save else "resumed")
    time.sleep(rng.random() * 1.2 * (typical.save if in_save else typical.epoch))
    process.kill()


def crash(kills: int, seed: int = 0) -> dict[str, object]:
    """Kill the training so many times, then let it end; what happened, in numbers."""
    rng = random.Random(seed)
    epochs = kills + 4
    uninterrupted = run_uninterrupted(epochs)
    counts = {"kills": 0, "while saving": 0, "starts": 0, "epochs lost": 0, "damaged": 0}
    last_saved = 0  # the last epoch that was reported as saved
    with tempfile.TemporaryDirectory() as folder:
        while True:
            process = TrainingProcess(Path(folder), epochs)
            counts["starts"] += 1
            process.wait_for("resumed")
            counts["epochs lost"] += max(0, last_saved - int(process.values("resumed")[0]))
            if counts["kills"] == kills:
                break
            kill_at_random(process, rng, uninterrupted)
            counts["kills"] += 1
            counts["while saving"] += len(process.values("saving")) > len(process.values("saved"))
            counts["damaged"] += len(process.other_lines)
            last_saved = max([last_saved, *map(int, process.values("saved"))])
        process.wait_for("weights")
        process.end()
        counts["damaged"] += len(process.other_lines)
        left = sorted(path.name for path in Path(folder).iterdir())
    differing = int(process.values("weights") != [uninterrupted.weights])
    return counts | {"differing weights": differing, "epochs": epochs, "files left": left}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=RECORDED_KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train, arguments.epochs)
        return 0
    begin = time.perf_counter()
    counts = crash(arguments.kills, arguments.seed)
    for name, count in counts.items():
        print(f"{name}: {count}")
    if arguments.kills >= RECORDED_KILLS:
        what = "a training killed at random moments and gone on with, against one that was never stopped"
        write_record(results_path("crash"), what, {"seconds": round(time.perf_counter() - begin), **counts})
    return int(any(counts[name] for name in ("epochs lost", "damaged", "differing weights")))


if __name__ == "__main__":
    sys.exit(main())
