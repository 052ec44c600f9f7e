"""When a training ends early, and the weights that it ends with."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from seglib import fit
from seglib.errors import TrainingError
from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History
from tests.support.small_training import CPU, Net, go_on, same_weights, training


def looked_at(scores: list[float], **options) -> tuple[EarlyStopping, nn.Linear, History]:
    """What early stopping made of these scores; the weight of each epoch is its number."""
    model, history = nn.Linear(1, 1, bias=False), History()
    stopping = EarlyStopping(model, **options)
    for epoch, score in enumerate(scores, 1):
        nn.init.constant_(model.weight, epoch)
        history.add(score, score, score)
        stopping.update(history)
        if stopping.finished:
            break
    return stopping, model, history


@pytest.mark.parametrize(
    ("scores", "patience", "min_delta", "stopped", "best"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.9], 2, 0.0, 4, 2),
        ([0.5, 0.7, 0.6, 0.7, 0.9], 3, 0.0, 5, 5),
        ([0.5, 0.505, 0.51, 0.52], 2, 0.05, 3, 1),
        ([0.3, 0.2, 0.1], 1, 0.0, 2, 1),
        ([math.nan, 0.2, 0.1, 0.1], 2, 0.0, 4, 2),
    ],
)
def test_it_stops_after_patience_and_restores_the_best(scores, patience, min_delta, stopped, best):
    stopping, model, history = looked_at(scores, patience=patience, min_delta=min_delta)
    assert (len(history.train_loss), stopping.best_epoch) == (stopped, best)
    stopping.restore()
    assert model.weight.item() == best
    if stopping.finished:
        assert history.stopped == f"epoch {stopped}, no better since epoch {best}"


def test_a_loss_should_fall():
    stopping, model, _ = looked_at([0.5, 0.3, 0.4, 0.4], patience=2, monitor="validation_loss")
    stopping.restore()
    assert (stopping.best_epoch, model.weight.item()) == (2, 2)


def test_nan_only_never_counts_as_best():
    stopping, model, _ = looked_at([math.nan, math.nan, math.nan], patience=2)
    stopping.restore()
    assert (stopping.finished, stopping.best_epoch, model.weight.item()) == (True, 0, 2)


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"min_delta": -0.1}, {"monitor": "accuracy"}])
def test_nonsense_is_refused(wrong: dict):
    with pytest.raises(TrainingError, match="patience"):
        EarlyStopping(nn.Linear(1, 1), **wrong)


@pytest.mark.parametrize("epochs", [3, 30])
def test_fit_gives_the_best_weights_back_however_it_ends(tmp_path: Path, epochs: int):
    made, kept = training(tmp_path, patience=3), []

    def keep(_: History) -> None:
        kept.append({name: tensor.clone() for name, tensor in made.model.state_dict().items()})

    go_on(made, epochs, on_epoch=keep)
    assert made.stopping.finished == (epochs == 30)
    best = Net()
    best.load_state_dict(kept[made.stopping.best_epoch - 1])
    assert same_weights(best, made.model)
    assert len(kept) == len(made.history.train_loss) < 31


def test_a_finished_training_does_not_go_on(tmp_path: Path):
    made = training(tmp_path, patience=2)
    go_on(made, 30)
    done = len(made.history.train_loss)
    go_on(made, 60)
    assert len(made.history.train_loss) == done
    assert "no better since" in made.history.stopped


def test_a_history_is_gone_on_with_and_forgets_that_it_was_stopped(tmp_path: Path):
    made = training(tmp_path)
    made.history = History([1.0], [1.0], [0.1], stopped="epoch 2, step 1")
    steps = []
    loaders = made.train, made.validation, made.criterion, made.optimizer
    on_step = lambda epoch, step, loss: steps.append((epoch, step))  # noqa: E731
    history = fit(made.model, *loaders, epochs=3, device=CPU, on_step=on_step, history=made.history)
    assert history is made.history
    assert (len(history.train_loss), history.stopped) == (3, "")
    assert steps == [(epoch, step) for epoch in (2, 3) for step in (1, 2, 3)]


def test_its_state_survives_a_file(tmp_path: Path):
    stopping, model, _ = looked_at([0.5, 0.7, 0.6], patience=2)
    torch.save(stopping.state_dict(), tmp_path / "a.pt")
    other = EarlyStopping(model, patience=2)
    other.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    other.restore()
    assert (other.best, other.best_epoch, other.finished, model.weight.item()) == (0.7, 2, False, 2)
