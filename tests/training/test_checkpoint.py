"""What a checkpoint holds, and that a training which goes on from it is the one that was never stopped."""

import errno
import json
import pickle
import random
import shutil
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seglib import SegError, build_deeplab, checkpoint_io, make_loss
from seglib.checkpoint_io import atomic_save, backup_path, load_or_backup
from seglib.errors import WeightsError
from seglib.optim import make_optimizer
from seglib.training.checkpoint import (
    Checkpoint,
    dataloader_state,
    load_trained,
    rng_state,
    set_dataloader_state,
    set_rng_state,
    training_facts,
)
from seglib.training.history import History
from tests.support.small_training import Net, go_on, same_weights, training


def cut(path: Path, share: float = 0.6) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("stopped_after", [1, 2, 5])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path, stopped_after: int):
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole")
    go_on(whole, 6)
    first = training(tmp_path)
    go_on(first, stopped_after)
    random.random(), np.random.rand(), torch.rand(3)  # whatever happens in between
    second = training(tmp_path)
    nn.init.zeros_(second.model.layers[0].weight)
    second.history = second.checkpoint.resume()
    assert len(second.history.train_loss) == stopped_after
    go_on(second, 6)
    assert same_weights(whole.model, second.model)
    assert whole.history == second.history
    assert whole.optimizer.param_groups[0]["lr"] == second.optimizer.param_groups[0]["lr"]


def test_with_early_stopping_too(tmp_path: Path):
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole", patience=2)
    go_on(whole, 30)
    assert whole.stopping.finished
    assert len(whole.history.train_loss) < 30
    for epochs in range(1, 31):  # a new start for every epoch
        part = training(tmp_path, patience=2)
        part.history = part.checkpoint.resume()
        go_on(part, epochs)
    assert same_weights(whole.model, part.model)
    assert whole.history == part.history


@pytest.mark.parametrize("lost", ["optimizer", "schedule", "random", "loader"])
def test_each_part_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str):
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole")
    go_on(whole, 4)
    go_on(training(tmp_path), 2)
    part = training(tmp_path)
    part.train.sampler.epoch = 0
    setters = {"random": "set_rng_state", "loader": "set_dataloader_state"}
    if lost in setters:
        monkeypatch.setattr(f"seglib.training.checkpoint.{setters[lost]}", lambda *_: None)
    else:
        monkeypatch.setattr(type(part.checkpoint.parts[lost]), "load_state_dict", lambda *_: None)
    part.history = part.checkpoint.resume()
    go_on(part, 4)
    assert not same_weights(whole.model, part.model)


def test_before_the_first_save_there_is_nothing_to_resume(tmp_path: Path):
    made = training(tmp_path)
    before = [parameter.clone() for parameter in made.model.parameters()]
    assert made.checkpoint.resume().train_loss == []
    assert all(torch.equal(a, b) for a, b in zip(before, made.model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "mse"}, ["loss: bce in the file, mse here", "threshold: 0.0 in the file, 0.5 here"]),
        ({"optimizer": "sgd"}, ["optimizer: AdamW in the file, SGD here"]),
        ({"classes": ["background", "apple"]}, ["classes: none in the file, background, apple here"]),
        ({"scheduler": None}, ["schedule: SequentialLR in the file, none here"]),
        ({"size": (8, 12)}, ["size: 8, 10 in the file, 8, 12 here"]),
    ],
)
def test_another_training_is_refused_with_the_difference(tmp_path: Path, change: dict, words: list[str]):
    go_on(training(tmp_path), 1)
    other = training(tmp_path, **change)
    before = [parameter.clone() for parameter in other.model.parameters()]
    with pytest.raises(WeightsError) as error:
        other.checkpoint.resume()
    assert all(word in str(error.value) for word in words), str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, other.model.parameters(), strict=True))


def test_another_head_is_refused_with_its_shapes(tmp_path: Path):
    made = training(tmp_path)
    go_on(made, 1)
    wide = Net(channels=4)
    other = Checkpoint(
        tmp_path / "run.pt", wide, made.criterion, made.optimizer, made.train, size=(8, 10), scheduler=made.scheduler
    )
    with pytest.raises(WeightsError, match=r"layers.4.weight: 1, 4, 1, 1 in the file, 4, 4, 1, 1 here"):
        other.resume()


def test_the_facts_of_a_deeplab_are_read_off_its_weights():
    for name, channels, aux in (("deeplabv3_mobilenet_v3_large", 4, False), ("deeplabv3_resnet50", 1, True)):
        model = build_deeplab(name, channels, weights=None, aux=aux, verbose=False)
        facts = training_facts(model, make_loss("mse"))
        assert (facts["model"], facts["output channels"], facts["auxiliary head"]) == (name, channels, aux)
        assert (facts["loss"], facts["activation"], facts["threshold"]) == ("mse", "intensity", 0.5)
    assert training_facts(model, make_loss("cross_entropy"))["activation"] == "softmax"


def test_a_truncated_file_falls_back_to_the_one_before_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole")
    go_on(whole, 4)
    go_on(training(tmp_path), 3)
    cut(tmp_path / "run.pt")
    part = training(tmp_path)
    part.history = part.checkpoint.resume()
    assert "run.pt is damaged or gone; going on from run.before.pt, epoch 2." in capsys.readouterr().out
    go_on(part, 4)
    assert same_weights(whole.model, part.model)


def test_a_damaged_file_never_replaces_the_good_one_before(tmp_path: Path):
    go_on(training(tmp_path), 2)
    cut(tmp_path / "run.pt")
    part = training(tmp_path)
    part.history = part.checkpoint.resume()
    assert (tmp_path / "run.pt.damaged").exists()
    assert not (tmp_path / "run.pt").exists()
    go_on(part, 2)
    assert len(load_or_backup(tmp_path / "run.pt")[0]["history"]["train_loss"]) == 2
    assert len(load_or_backup(backup_path(tmp_path / "run.pt"))[0]["history"]["train_loss"]) == 1


def test_a_changed_byte_counts_as_damage(tmp_path: Path):
    path = tmp_path / "a.pt"
    atomic_save(path, {"weights": torch.zeros(1000)})
    bytes_ = bytearray(path.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    path.write_bytes(bytes_)
    with pytest.raises(WeightsError, match="damaged or cut short"):
        load_or_backup(path)


def test_the_one_before_is_kept_without_hard_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr("os.link", no_links)
    for number in (1, 2, 3):
        atomic_save(tmp_path / "a.pt", {"number": number})
    assert load_or_backup(tmp_path / "a.pt")[0]["number"] == 3
    assert load_or_backup(backup_path(tmp_path / "a.pt"))[0]["number"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.before.pt", "a.pt"]


class Disk:
    """A file that takes so many bytes, and then says that the disk is full."""

    def __init__(self, path: Path, mode: str, room: int = 1000):
        self.file, self.room = path.open(mode), room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def write(self, data) -> int:
        self.file.write(bytes(data)[: self.room])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_nothing_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole")
    go_on(whole, 4)
    made = training(tmp_path)
    go_on(made, 2)
    monkeypatch.setattr(checkpoint_io, "open", Disk, raising=False)
    go_on(made, 3)
    said = capsys.readouterr().out
    assert "run.pt was not saved after epoch 3: the disk is full." in said
    assert "Make space." in said
    assert len(load_or_backup(tmp_path / "run.pt")[0]["history"]["train_loss"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.before.pt", "run.pt", "whole"]
    monkeypatch.undo()
    go_on(made, 4)
    assert same_weights(whole.model, made.model)
    assert len(load_or_backup(tmp_path / "run.pt")[0]["history"]["train_loss"]) == 4


def test_a_folder_that_is_gone_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "there").mkdir()
    made = training(tmp_path / "there")
    (tmp_path / "there").rmdir()
    assert made.checkpoint.save(made.history) is False
    assert "run.pt was not saved after epoch 0" in capsys.readouterr().out


def test_a_folder_that_never_was_is_an_error_at_once(tmp_path: Path):
    with pytest.raises(WeightsError, match="There is no folder nowhere"):
        training(tmp_path / "nowhere")


def test_a_config_holds_plain_values(tmp_path: Path):
    with pytest.raises(WeightsError, match="config"):
        training(tmp_path, config={"model": Net()})
    made = training(tmp_path, config={"lr": 0.05, "notes": ["a", 1, None]})
    made.checkpoint.save(made.history)
    assert load_or_backup(tmp_path / "run.pt")[0]["config"] == {"lr": 0.05, "notes": ["a", 1, None]}


class Burglar:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, zipped: bool):
    trace, path = tmp_path / "trace", tmp_path / "run.pt"
    if zipped:
        torch.save({"format": 1, "history": Burglar(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(Burglar(trace)))
    for read in (lambda: load_trained(path), training(tmp_path).checkpoint.resume):
        with pytest.raises(SegError) as error:
            read()
        assert ("holds pickled code, which was not run" in str(error.value)) == zipped
        assert not trace.exists()


def test_what_is_no_checkpoint_says_so(tmp_path: Path):
    path = tmp_path / "run.pt"
    with pytest.raises(WeightsError, match="There is no run.pt"):
        load_trained(path)
    torch.save(Net().state_dict(), path)
    with pytest.raises(WeightsError, match="no checkpoint of this seglib"):
        load_trained(path)
    path.write_text("hello")
    with pytest.raises(WeightsError, match="damaged"):
        load_trained(path)


def test_every_part_is_in_the_file_in_plain_values(tmp_path: Path):
    made = training(tmp_path, patience=9)
    go_on(made, 1)
    contents, _ = load_or_backup(tmp_path / "run.pt")
    assert set(contents) == {"format", "facts", "config", "about", "history", "states", "loader", "random"}
    assert set(contents["states"]) == {"model", "optimizer", "schedule", "stopping"}
    assert set(contents["random"]) == {"python", "numpy", "torch", "cuda", "mps"}
    json.dumps(contents["facts"])
    with zipfile.ZipFile(tmp_path / "run.pt") as parts:
        assert parts.testzip() is None


def test_load_trained_gives_the_best_weights_and_how_to_read_them(tmp_path: Path):
    made = training(tmp_path)
    model = build_deeplab(num_classes=2, weights=None, verbose=False)
    classes = ["background", "fruit"]
    keep = {"size": (24, 32), "classes": classes, "config": {"lr": 1}}
    checkpoint = Checkpoint(
        tmp_path / "fruit.pt", model, make_loss("cross_entropy"), make_optimizer(model), made.train, **keep
    )
    assert checkpoint.save(made.history)
    trained = load_trained(tmp_path / "fruit.pt")
    assert same_weights(model, trained.model)
    assert (trained.criterion.name, trained.size, trained.classes) == ("cross_entropy", (24, 32), classes)
    assert trained.config == {"lr": 1}


def test_random_states_of_all_generators_come_back():
    def draw():
        return random.random(), float(np.random.rand()), float(np.random.randn()), torch.rand(2).tolist()

    np.random.randn()  # leaves a second number in NumPy's pocket
    state = rng_state()
    first = draw()
    set_rng_state(state)
    assert draw() == first


def test_the_random_state_of_a_macs_gpu_comes_back_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(5)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", generator.get_state)
    monkeypatch.setattr(torch.mps, "set_rng_state", generator.set_state)
    state = rng_state()
    first = torch.rand(2, generator=generator)
    set_rng_state(state)
    assert torch.equal(torch.rand(2, generator=generator), first)
    old = {name: part for name, part in state.items() if name != "mps"}  # as files of the first edition are
    set_rng_state(old)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    set_rng_state(state)  # a file of a Mac, opened elsewhere


def test_a_plain_loader_with_a_generator_comes_back():
    loader = torch.utils.data.DataLoader(range(9), shuffle=True, generator=torch.Generator().manual_seed(3))
    state = dataloader_state(loader)
    first = [int(one) for one in loader]
    set_dataloader_state(loader, state)
    assert [int(one) for one in loader] == first


# Files of the first edition

FIRST_EDITION = Path("tests/support/first_edition_run.pt")  # `training(patience=2)` after three epochs, saved by it


def test_a_checkpoint_of_the_first_edition_goes_on_as_if_it_were_of_today(tmp_path: Path):
    shutil.copy(FIRST_EDITION, tmp_path / "run.pt")
    resumed = training(tmp_path, patience=2)
    resumed.history = resumed.checkpoint.resume()
    assert len(resumed.history.train_loss) == 3
    (tmp_path / "whole").mkdir()
    whole = training(tmp_path / "whole", patience=2)
    go_on(whole, 3)
    assert resumed.history.train_loss == pytest.approx(whole.history.train_loss, rel=1e-3)
    assert resumed.history.validation_iou == pytest.approx(whole.history.validation_iou, abs=0.02)
    assert resumed.stopping.best_epoch == 3
    go_on(resumed, 6)
    assert len(resumed.history.train_loss) == 6


def test_a_model_of_the_first_edition_is_loaded(tmp_path: Path):
    model = build_deeplab(weights=None, verbose=False)
    contents = {
        "format": 1,
        "facts": {
            "model": "deeplabv3_mobilenet_v3_large",
            "output channels": 1,
            "auxiliary head": False,
            "loss": "mse",
            "activation": "intensity",
            "threshold": 0.5,
            "classes": [],
            "size": [240, 320],
            "optimizer": "Adam",
            "schedule": "none",
            "scaler": "none",
            "stopping": "none",
            "parameter groups": [182],
        },
        "config": {},
        "history": {"train_loss": [0.1], "validation_loss": [0.1], "validation_iou": [0.5], "stopped": ""},
        "states": {"model": model.state_dict()},
    }
    torch.save(contents, tmp_path / "run.pt")
    trained = load_trained(tmp_path / "run.pt")
    assert (trained.criterion.name, trained.size, trained.history.validation_iou) == ("mse", (240, 320), [0.5])
    assert same_weights(trained.model, model)


def test_a_checkpoint_holds_versions_and_whatever_is_to_be_found_again(tmp_path: Path):
    made = training(tmp_path)
    made.checkpoint.about = {"split": {"train": ["a"]}}
    made.checkpoint.save(History())
    about = load_or_backup(tmp_path / "run.pt")[0]["about"]
    assert about["split"] == {"train": ["a"]}
    assert about["versions"]["torch"] == metadata.version("torch")
    assert {"python", "torchvision", "pillow", "numpy"} <= set(about["versions"])


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "torch.compile"])
def test_a_wrapped_model_is_saved_under_its_own_names(tmp_path: Path, wrap):
    model = build_deeplab(weights=None, verbose=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpoint = Checkpoint(tmp_path / "run.pt", wrap(model), make_loss("bce"), optimizer, None, size=(48, 64))
    checkpoint.save(History())
    read = load_trained(tmp_path / "run.pt").model.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


def test_the_scale_of_crops_comes_back(tmp_path: Path):
    model = build_deeplab(weights=None, verbose=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for scale in (None, 2.0):
        path = tmp_path / f"{scale}.pt"
        Checkpoint(path, model, make_loss("bce"), optimizer, None, size=(48, 64), scale=scale).save(History())
        assert load_trained(path).scale == scale
