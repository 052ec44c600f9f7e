"""Which device a process gets, and what one process alone does. What two do stands in test_distributed.py."""

import pytest

from seglib.errors import TrainingError
from seglib.training import distributed
from tests.support.helpers import check_message


def test_alone_it_is_number_0_of_1():
    with distributed.group("cpu") as device:
        assert device.type == "cpu"
        assert (distributed.rank(), distributed.processes(), distributed.everyone({"a": 1})) == (0, 1, [{"a": 1}])
    assert distributed.first_to_report()


@pytest.mark.parametrize(("name", "told"), [("mps", "mps"), ("cuda:0", "cuda:0"), ("cuda", "cuda:9")])
def test_a_device_that_not_every_process_can_have_is_refused(monkeypatch, name, told):
    monkeypatch.setenv("LOCAL_RANK", "9")
    with pytest.raises(TrainingError) as caught, distributed.group(name):
        pass
    check_message(caught.value, f'device = "{told}"')


def test_errors_of_our_own_keep_their_words(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="out of memory"), distributed.group("cpu"):
        raise RuntimeError("out of memory")
    with pytest.raises(TrainingError, match="has ended"), distributed.group("cpu"):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer")
