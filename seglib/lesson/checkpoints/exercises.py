"""Owns the exercise checks of 10_checkpoints: going on with a training, its size in a file, writing the file safely."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, number

_EPOCHS = 4
_SAVED_AFTER = 2  # epochs

# Optimizers by the name that the exercise gives them.
_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adam": lambda weights: torch.optim.Adam(weights, lr=1e-3),
    "sgd with momentum": lambda weights: torch.optim.SGD(weights, lr=1e-3, momentum=0.9),
    "plain sgd": lambda weights: torch.optim.SGD(weights, lr=1e-3),
}


class _SmallTraining:
    """A training that needs all that a checkpoint holds: running means, Adam's means, a schedule, dropout."""

    def __init__(self, seed: int):
        torch.manual_seed(seed)
        layers = (nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        self.model = nn.Sequential(*layers)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.05)
        # LambdaLR computes the rate from its count of epochs. StepLR changes the rate that the optimizer has, and that
        # comes back with the optimizer's state: nobody would notice a scheduler that was not put back.
        self.scheduler = LambdaLR(self.optimizer, lambda epoch: 0.8**epoch)
        draw = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(16, 4, generator=draw)
        self.targets = torch.randn(16, 1, generator=draw)

    def train(self, epochs: int) -> None:
        self.model.train()
        for _ in range(epochs):
            self.optimizer.zero_grad()
            ((self.model(self.inputs) - self.targets) ** 2).mean().backward()
            self.optimizer.step()
            self.scheduler.step()

    def save(self, path: Path, epoch: int) -> None:
        contents = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": epoch,
        }
        torch.save(contents, path)

    def weights(self) -> Tensor:
        return torch.cat([tensor.flatten().double() for tensor in self.model.state_dict().values()])


@exercise
def check_resume(my_resume: Attempt) -> str:
    """Check `my_resume(path, model, optimizer, scheduler)`: puts a training back and gives its number of epochs."""
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        path = Path(folder) / "fruit.pt"
        _check_first_start(my_resume, path)
        uninterrupted = _SmallTraining(seed=0)
        uninterrupted.train(_SAVED_AFTER)
        uninterrupted.save(path, epoch=_SAVED_AFTER)
        saved = torch.load(path, weights_only=True)
        uninterrupted.train(_EPOCHS - _SAVED_AFTER)
        resumed = _SmallTraining(seed=1)
        parts = (resumed.model, resumed.optimizer, resumed.scheduler)
        epochs = my_resume(path, *parts, given=f"a file that was saved after epoch {_SAVED_AFTER}")
        _check_epochs(epochs)
        hint = _missing_part(resumed, saved)
        resumed.train(_EPOCHS - _SAVED_AFTER)
        if not torch.equal(resumed.weights(), uninterrupted.weights()):
            raise NotYet(hint or "the resumed training ends with other weights than the one that was never stopped.")
    return "The resumed training ends with the same weights as the one that was never stopped, bit for bit."


def _check_first_start(my_resume: Attempt, path: Path) -> None:
    fresh = _SmallTraining(seed=1)
    before = fresh.weights()
    hints: dict[type[Exception], str] = {
        FileNotFoundError: "at the first start there is no file yet: give back 0, and change nothing."
    }
    parts = (fresh.model, fresh.optimizer, fresh.scheduler)
    epochs = my_resume(path, *parts, given="a path where no file is yet", hints=hints)
    if number(epochs) != 0 or not torch.equal(fresh.weights(), before):
        raise NotYet(f"no file is there yet, so 0 epochs are done and nothing changes; {describe(epochs)} came out.")


def _check_epochs(epochs: object) -> None:
    if number(epochs) == _SAVED_AFTER + 1:
        raise NotYet(
            f"the file was saved after epoch {_SAVED_AFTER}, so {_SAVED_AFTER} epochs are done. Give back that number: "
            "the loop `for epoch in range(done + 1, epochs + 1)` goes on with the next one."
        )
    if number(epochs) != _SAVED_AFTER:
        raise NotYet(f"{_SAVED_AFTER} epochs are done, and {describe(epochs)} came out.")


def _missing_part(resumed: _SmallTraining, saved: dict[str, Any]) -> str | None:
    """A hint on the first part that is not in the state of the file."""
    state = resumed.model.state_dict()
    wrong = [name for name, tensor in saved["model"].items() if not torch.equal(tensor, state[name])]
    learned = {name for name, _ in resumed.model.named_parameters()}
    if learned & set(wrong):
        return "the model has not the weights of the file: model.load_state_dict."
    if wrong:
        return "the running means of BatchNorm have stayed as they were. They stand in the state dict, too."
    if not resumed.optimizer.state_dict()["state"]:
        return "Adam begins with empty means: the optimizer has a state of its own."
    if resumed.scheduler.last_epoch != saved["scheduler"]["last_epoch"]:
        return "the learning rate begins anew: the scheduler has a state of its own."
    if not torch.equal(torch.get_rng_state(), saved["rng"]):
        return "dropout draws other numbers than it would have drawn: torch.set_rng_state, after all else."
    return None


@exercise
def check_checkpoint_bytes(my_bytes: Attempt) -> str:
    """Check `my_bytes(model, optimizer)`: how many bytes of tensors a checkpoint holds, to a thousandth."""
    for name, frozen in (("adam", False), ("sgd with momentum", False), ("plain sgd", False), ("adam", True)):
        given = f"{name!r}{', and a first layer that is frozen' if frozen else ''}"
        with torch.random.fork_rng(devices=[]):  # new weights are drawn; the notebook's random numbers stay
            model = _convolutions(frozen)
            wanted = _measured_bytes(model, name)
            answer = my_bytes(_convolutions(frozen), name, given=given)
        value = number(answer)
        if value is None:
            raise NotYet(f"a number of bytes is wanted; this is {describe(answer)}.")
        if not math.isclose(value, wanted, rel_tol=1e-3):
            raise NotYet(f"given {given}: {_bytes_hint(value, wanted, model, name)}")
    return "The means of Adam take twice the room of the weights; plain SGD keeps nothing."


def _convolutions(frozen: bool) -> nn.Module:
    first = nn.Conv2d(3, 64, 3).requires_grad_(not frozen)
    return nn.Sequential(first, nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 32, 3), nn.BatchNorm2d(32))


def _measured_bytes(model: nn.Module, name: str) -> int:
    """The bytes of both state dicts after one step of training."""
    optimizer = _OPTIMIZERS[name](model.parameters())
    model(torch.randn(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    states = [model.state_dict(), *optimizer.state_dict()["state"].values()]
    tensors = [value for state in states for value in state.values() if isinstance(value, Tensor)]
    return sum(tensor.nbytes for tensor in tensors)


def _bytes_hint(value: float, wanted: int, model: nn.Module, name: str) -> str:
    everything = sum(tensor.numel() for tensor in model.state_dict().values())
    learned = sum(weight.numel() for weight in model.parameters())
    moving = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    kept = {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[name]
    typical = (
        (wanted / 4, "these are numbers, and each of them takes four bytes."),
        (4 * everything, "this is the model alone. The optimizer has a state too."),
        (4 * kept * moving, "this is the optimizer alone. The model stands in the checkpoint, too."),
        (4 * (everything + 2 * moving), "this is what Adam needs. How much does this optimizer keep for each weight?"),
        (4 * (everything + kept * learned), "a frozen weight gets no gradient, and Adam keeps nothing for it."),
        (4 * (1 + kept) * everything, "running means get no gradient, so the optimizer keeps nothing for them."),
        (4 * (learned + kept * moving), "the running means of BatchNorm are missing: they are in the state dict."),
    )
    hint = next((hint for wrong, hint in typical if math.isclose(value, wrong, rel_tol=1e-3)), None)
    return hint or f"the file holds {wanted:,} bytes of tensors, and {value:,.0f} came out."


@exercise
def check_safe_save(my_save: Attempt) -> str:
    """Check `my_save(path, write)`: `write(file)` fills a binary file, and may fail in the middle of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fruit.pt"
        _call(my_save, path, _writer(b"first", None), "an empty folder")
        _compare(path, b"first", "after a first save the file is not what write(file) wrote.")
        _call(my_save, path, _writer(b"second, and longer", None), "a file that is there already")
        _compare(path, b"second, and longer", "after a second save the file is not the new one.")
        _call_with_full_disk(my_save, path)
        now = path.read_bytes() if path.exists() else b""
        if now != b"second, and longer":
            what = "gone" if not path.exists() else "half of the new one"
            raise NotYet(
                f"write(file) failed in the middle, and the good file is {what}. Open another file in the same folder, "
                "and os.replace it onto path only when all is written."
            )
        _call(my_save, path, _writer(b"fourth", None), "a save after one that failed")
        _compare(path, b"fourth", "after a save that failed, the next one did not come through.")
        others = {each.name for each in Path(folder).iterdir()} - {path.name}
        if others:
            raise NotYet(f"{len(others)} other file is left in the folder after a good save: rename, do not copy.")
    return "The file at path is the old one or the new one, and never half: the rename happens in one go."


def _writer(data: bytes, error: OSError | None) -> Callable:
    def write(file) -> None:  # type: ignore[no-untyped-def]
        file.write(data[: len(data) // 2])
        if error:
            raise error
        file.write(data[len(data) // 2 :])

    return write


def _call_with_full_disk(my_save: Attempt, path: Path) -> None:
    try:
        _call(my_save, path, _writer(b"third", OSError("the disk is full")), "a disk that gets full")
    except OSError:
        return
    raise NotYet("write(file) failed, and nobody is told. Let the error out, once the old file is safe.")


def _call(my_save: Attempt, path: Path, write: Callable, given: str) -> None:
    """Call the answer, which gives nothing back; a full disk is let out, every other error becomes a hint."""
    try:
        my_save.raw(path, write)
    except NotImplementedError:
        raise NotYet("nothing to check so far. Replace the ... by your own lines.") from None
    except Exception as error:
        if isinstance(error, OSError) and "the disk is full" in str(error):
            raise
        raise NotYet(f"my_save stopped with {type(error).__name__}, given {given}.") from None


def _compare(path: Path, wanted: bytes, hint: str) -> None:
    if not path.exists():
        raise NotYet("no file is at path after a save. Replace the ... by your own lines, then run the cell again.")
    if path.read_bytes() != wanted:
        raise NotYet(hint)
