"""Which device a process gets, and what one process alone does. What two do stands in test_distributed.py."""

import pytest

from helpers import check_message
from seglib import processes
from seglib.errors import TrainingError


def test_alone_it_is_number_0_of_1():
    with processes.group("cpu") as device:
        assert device.type == "cpu"
        assert (processes.rank(), processes.processes(), processes.everyone({"a": 1})) == (0, 1, [{"a": 1}])
    assert processes.first_to_fail()


@pytest.mark.parametrize(("name", "told"), [("mps", "mps"), ("cuda:0", "cuda:0"), ("cuda", "cuda:9")])
def test_a_device_that_not_every_process_can_have_is_refused(monkeypatch, name, told):
    monkeypatch.setenv("LOCAL_RANK", "9")
    with pytest.raises(TrainingError) as caught, processes.group(name):
        pass
    check_message(caught.value, f'device = "{told}"')


def test_errors_of_our_own_keep_their_words(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(processes.dist, "init_process_group", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="out of memory"), processes.group("cpu"):
        raise RuntimeError("out of memory")
    with pytest.raises(TrainingError, match="has ended"), processes.group("cpu"):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer")
