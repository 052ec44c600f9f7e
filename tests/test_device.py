import os
import random

import numpy as np
import pytest
import torch

from seglib import device as device_module
from seglib.device import Timer, deterministic, explain_gpu_errors, gpu_memory, pick_device, seed_everything
from seglib.errors import TrainingError
from tests.support.helpers import check_message


@pytest.fixture
def machine(monkeypatch):
    """Pretend that this machine has, or has not, CUDA and MPS, and that no environment variable names a device."""
    monkeypatch.delenv("SEGLIB_DEVICE", raising=False)

    def pretend(cuda: bool, mps: bool, cards: int = 1) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards if cuda else 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_is_picked(machine, cuda, mps, best):
    machine(cuda, mps)
    assert pick_device() == torch.device(best)


@pytest.mark.parametrize("value", ["cpu", "mps", "cuda:1"])
def test_the_environment_variable_decides_where_no_device_is_named(machine, monkeypatch, value):
    machine(True, True, cards=2)
    monkeypatch.setenv("SEGLIB_DEVICE", value)
    assert pick_device() == torch.device(value)
    assert pick_device("cuda:0") == torch.device("cuda:0")  # a name in the call comes first
    monkeypatch.setenv("SEGLIB_DEVICE", "")
    assert pick_device() == torch.device("cuda")


def test_an_environment_variable_that_names_no_device_here_is_refused_by_its_name(machine, monkeypatch):
    machine(False, False)
    monkeypatch.setenv("SEGLIB_DEVICE", "cuda")
    with pytest.raises(TrainingError) as caught:
        pick_device()
    check_message(caught.value, 'The environment variable SEGLIB_DEVICE = "cuda"', "Unset SEGLIB_DEVICE")


def test_a_named_device_is_taken_although_a_better_one_is_there(machine):
    machine(True, True, cards=2)
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("mps") == torch.device("mps")
    assert pick_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "gpu", "", "CPU0"])
def test_a_device_that_is_not_here_is_refused_by_name(machine, name):
    machine(False, False)
    with pytest.raises(TrainingError) as caught:
        pick_device(name)
    check_message(caught.value, f'"{name}"', "cpu")


def test_a_card_too_many_is_refused(machine):
    machine(True, False, cards=2)
    with pytest.raises(TrainingError) as caught:
        pick_device("cuda:2")
    check_message(caught.value, '"cuda:2"')


def draw():
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def test_the_same_seed_draws_the_same_numbers_everywhere():
    first_generator = seed_everything(3)
    first = draw()
    different = draw()
    second_generator = seed_everything(3)
    assert draw() == first
    assert different != first
    assert torch.equal(
        torch.rand(2, generator=first_generator),
        torch.rand(2, generator=second_generator),
    )
    seed_everything(4)
    assert draw() != first


def test_drawing_from_the_returned_generator_leaves_the_global_one_alone():
    generator = seed_everything(3)
    torch.rand(5, generator=generator)
    after = torch.rand(2)
    seed_everything(3)
    assert torch.equal(torch.rand(2), after)


def test_deterministic_can_be_switched_on_and_off():
    had = os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    try:
        deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
        deterministic(False)
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark  # torch's own choice, given back
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
        if had is not None:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = had


def test_memory_of_a_device_that_is_no_gpu_is_nothing():
    assert gpu_memory(torch.device("cpu")) == {"now": 0, "peak": 0, "card": 0}


def test_timer_measures_its_block_and_only_that(monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(device_module.time, "perf_counter", lambda: next(clock))
    with Timer() as timer:
        assert timer.seconds == 0.0
    assert timer.seconds == 2.5


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_timer_waits_for_the_gpu_before_each_look_at_the_clock(monkeypatch, kind):
    events = []
    monkeypatch.setattr(getattr(torch, kind), "synchronize", lambda *device: events.append("wait"))
    monkeypatch.setattr(device_module.time, "perf_counter", lambda: float(len(events.append("look") or events)))
    with Timer(torch.device(kind)):
        events.append("work")
    assert events == ["wait", "look", "work", "wait", "look"]


def test_timer_stops_although_the_block_fails():
    timer = Timer()
    with pytest.raises(KeyError), timer:
        raise KeyError
    assert timer.seconds > 0


def test_a_batch_moves_with_its_dtypes_and_values():
    images = torch.randint(0, 256, (2, 3, 4, 6), dtype=torch.uint8)
    masks = torch.ones(2, 1, 4, 6)
    moved_images, moved_masks = device_module.batch_to_device(images, masks, torch.device("cpu"))
    assert torch.equal(moved_images, images)
    assert torch.equal(moved_masks, masks)
    assert moved_images.is_contiguous(memory_format=torch.channels_last)


def test_errors_of_a_gpu_say_what_to_do():
    with pytest.raises(TrainingError) as caught, explain_gpu_errors():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    check_message(caught.value, "memory of the GPU", "batch_size=2", "precision=auto")
    with pytest.raises(TrainingError) as caught, explain_gpu_errors():
        raise RuntimeError("CUDA error: device-side assert triggered")
    check_message(caught.value, "device-side assert", "labels", "CUDA_LAUNCH_BLOCKING=1", "device=cpu")
    with pytest.raises(RuntimeError, match="another"), explain_gpu_errors():
        raise RuntimeError("another")
