import math
import pickle

import pytest
import torch
from torch import multiprocessing

from seglib.data import shared_cache as module
from seglib.data.shared_cache import GIB, SharedCache, free_shared_memory
from seglib.errors import TrainingError
from tests.support.helpers import check_message

SIZE = (2, 3)
EACH = 4 * 2 * 3


def picture(value: int) -> torch.Tensor:
    return torch.full((4, *SIZE), value, dtype=torch.uint8)


def put_from_elsewhere(cache: SharedCache) -> None:
    cache.put("b", (7, 8), picture(9))


def test_what_was_put_comes_back_under_its_name_and_stamp_only():
    cache = SharedCache(["a", "b"], SIZE, 1)
    cache.put("b", (5, 6), picture(3))
    assert torch.equal(cache.get("b", (5, 6)), picture(3))
    assert cache.get("b", (5, 7)) is None
    assert cache.get("a", (5, 6)) is None
    assert cache.get("unknown", (5, 6)) is None


def test_what_comes_back_is_a_copy():
    cache = SharedCache(["a"], SIZE, 1)
    cache.put("a", (1, 1), picture(3))
    cache.get("a", (1, 1)).zero_()
    assert torch.equal(cache.get("a", (1, 1)), picture(3))


def test_a_newer_picture_takes_the_place_of_the_old_one():
    cache = SharedCache(["a"], SIZE, 1)
    cache.put("a", (1, 1), picture(3))
    cache.put("a", (2, 1), picture(4))
    assert cache.get("a", (1, 1)) is None
    assert torch.equal(cache.get("a", (2, 1)), picture(4))


def test_it_says_nothing_while_all_fits(capsys):
    SharedCache(["a", "b"], SIZE, 2 * EACH / GIB)
    assert capsys.readouterr().out == ""


def test_at_its_limit_it_says_how_many_it_holds_and_how_much_all_would_take(capsys):
    cache = SharedCache(["a", "b", "c"], SIZE, 2.5 * EACH / GIB)
    said = capsys.readouterr().out
    assert "The cache has room for 2 of 3 pictures" in said
    assert "the limit is" in said
    assert said.count("\n") == 1
    cache.put("c", (1, 1), picture(3))
    assert cache.get("c", (1, 1)) is None
    assert list(cache.slot_of) == ["a", "b"]


def test_shared_memory_is_a_limit_too_and_is_named(capsys, monkeypatch):
    monkeypatch.setattr(module, "free_shared_memory", lambda: 2 * EACH)
    cache = SharedCache(["a", "b", "c"], SIZE, 1)
    assert len(cache.slot_of) == 2
    assert "of shared memory are free" in capsys.readouterr().out


def test_a_limit_below_one_picture_is_an_error():
    with pytest.raises(TrainingError) as caught:
        SharedCache(["a", "b"], (960, 1280), 0.001)
    check_message(caught.value, "1280 wide and 960 high", "0.001 GiB", "4.7 MiB", "All 2 take", "cache_gib")


def test_no_pictures_need_no_memory(capsys):
    assert SharedCache([], SIZE, 1).get("a", (1, 1)) is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_what_another_process_puts_is_here_too(start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {start} on this system")
    cache = SharedCache(["a", "b"], SIZE, 1)
    process = multiprocessing.get_context(start).Process(target=put_from_elsewhere, args=(cache,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert torch.equal(cache.get("b", (7, 8)), picture(9))


def test_a_pickled_copy_is_a_cache_of_its_own():
    cache = SharedCache(["a"], SIZE, 1)
    cache.put("a", (1, 1), picture(3))
    copied = pickle.loads(pickle.dumps(cache))
    assert torch.equal(copied.get("a", (1, 1)), picture(3))


def test_the_room_is_a_number_of_bytes():
    assert free_shared_memory() > 0
    assert isinstance(free_shared_memory(), float) or math.isinf(free_shared_memory())
