import functools
import sys
import time
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from seglib.errors import SegError
from seglib.lesson.common.figures import encode
from seglib.lesson.cuda import drive
from seglib.lesson.cuda.drive import copy_verified, drive_folder
from seglib.lesson.cuda.exercises import check_accumulate, check_from_bytes, check_mean_loss
from seglib.lesson.cuda.figures import input_bars, speed_bars
from seglib.lesson.cuda.prefetching import loading_figure, loading_timeline
from seglib.lesson.cuda.step_memory import memory_bars, operations, saved_bytes, step_memory
from seglib.lesson.cuda.sync_counter import count_syncs
from seglib.model import build_deeplab
from seglib.training.loop import train_one_epoch
from tests.support.helpers import TinyModel

# What a step keeps


def test_the_device_meta_counts_what_a_cpu_counts():
    model = build_deeplab(weights=None, verbose=False).train()
    images = torch.randn(2, 3, 48, 64).contiguous(memory_format=torch.channels_last)
    on_cpu = saved_bytes(model, images)
    assert on_cpu == saved_bytes(model.to("meta"), images.to("meta"))
    assert on_cpu > 10 * images.nbytes


def test_what_is_kept_twice_counts_once_and_weights_do_not_count():
    class Square(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, images):
            return {"out": images * self.weight}

    # `images` for the gradient of the weight, the output for its square: nothing else
    assert saved_bytes(Square(), torch.ones(5, 4)) == 2 * 5 * 4 * 4


def test_a_step_is_four_parts_of_which_one_grows():
    memory = step_memory("deeplabv3_mobilenet_v3_large", (48, 64))
    count = sum(parameter.numel() for parameter in build_deeplab(weights=None, verbose=False).parameters())
    assert memory.gradients == 4 * count
    assert memory.adam == 8 * count
    assert memory.weights >= 4 * count
    assert memory.total(5) - memory.total(4) == memory.activations_per_image > 0
    largest = memory.largest_batch(1)
    assert memory.total(largest) <= 2**30 < memory.total(largest + 1)
    assert memory.largest_batch(0.01) == 0
    assert encode(memory_bars({"small": memory, "again": memory}, [2, 4], [1, 80]))[0] == "image/png"


def test_operations_are_those_of_the_layers_and_grow_with_the_picture():
    size = (96, 128)
    small = operations("deeplabv3_mobilenet_v3_large", size)
    assert small == pytest.approx(operations("deeplabv3_mobilenet_v3_large", (192, 256)) / 4, rel=0.02)
    # ResNet-50 has no grouped convolution, and torch counts it rightly, both ways.
    model = build_deeplab("deeplabv3_resnet50", weights=None, verbose=False).to("meta").train()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(2, 3, *size, device="meta"))["out"].sum().backward()
    assert operations("deeplabv3_resnet50", size) == pytest.approx(counter.get_total_flops() / 2, rel=1e-3)


# The queue


@pytest.mark.parametrize(
    ("work", "count"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: float(x.sum()), 1),
        (lambda x: 1 if x.sum() > 0 else 0, 1),
        (lambda x: x[x > 0], 1),
        (lambda x: [value.item() for value in x.unbind()], 3),
        (lambda x: x.cpu().numpy().tolist(), 2),  # .cpu(), and .numpy() of what came of it
        (lambda x: x.tolist(), 1),
        (lambda x: np.asarray(x), 1),  # it calls .numpy() underneath, which is no second one
        (lambda x: torch.tensor([x[0], x[1]]), 1),
        (lambda x: x.unique(), 1),
        (lambda x: x.long().clamp(min=0).bincount(), 1),
        (lambda x: x.clone().__setitem__(x > 0, torch.tensor([5.0, 6.0])), 1),
        (lambda x: x.clone().__setitem__(x > 0, 0.0), 0),  # torch fills, and needs no size
        (lambda x: x.sum().detach() * 2 + x.where(x > 0, 0).sum(), 0),
        (lambda x: x.clone().__setitem__(0, 0.0), 0),
        (lambda x: torch.tensor([1.0, 2.0]) + x[[0, 1]], 0),
    ],
)
def test_every_question_for_a_value_is_counted(work, count):
    numbers = torch.tensor([1.0, -1.0, 2.0])
    assert count_syncs(lambda: work(numbers)) == count


def test_a_tensor_that_is_printed_is_asked_and_nothing_stays_patched():
    before = torch.tensor, torch.Tensor.cpu, torch.Tensor.tolist
    assert count_syncs(lambda: str(torch.ones(2))) > 0
    assert (torch.tensor, torch.Tensor.cpu, torch.Tensor.tolist) == before


# Drive


def test_a_file_arrives_whole_and_replaces_the_old_one(tmp_path):
    file = tmp_path / "a.pt"
    for content in (b"old", b"new and longer"):
        file.write_bytes(content)
        arrived = copy_verified(file, tmp_path / "far")
        assert arrived.read_bytes() == content
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["a.pt"]


def test_a_copy_that_breaks_off_leaves_the_old_one(tmp_path, monkeypatch):
    file = tmp_path / "a.pt"
    file.write_bytes(b"old")
    copy_verified(file, tmp_path / "far")
    file.write_bytes(b"new and longer")
    monkeypatch.setattr(drive.shutil, "copyfile", lambda source, target: target.write_bytes(b"new and"))
    with pytest.raises(SegError, match="not the file that was sent"):
        copy_verified(file, tmp_path / "far")
    assert [path.read_bytes() for path in (tmp_path / "far").iterdir()] == [b"old"]


def test_in_colab_drive_is_mounted_and_elsewhere_a_temporary_folder_plays_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab.drive", None)
    assert drive_folder("seglib").name == "seglib"
    mounted = []
    colab = types.ModuleType("google.colab.drive")
    colab.mount = mounted.append
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.drive", colab)
    monkeypatch.setenv("SEGLIB_DRIVE", str(tmp_path))
    assert drive_folder("seglib") == tmp_path / "MyDrive" / "seglib"
    assert mounted == [str(tmp_path)]


def test_without_leave_for_drive_the_copies_go_to_a_temporary_folder(monkeypatch, capsys):
    def refuse(folder):
        raise ValueError("mount failed: the reader said no")

    colab = types.ModuleType("google.colab.drive")
    colab.mount = refuse
    monkeypatch.setitem(sys.modules, "google.colab.drive", colab)
    assert drive_folder("seglib").parent.is_dir()
    assert "the reader said no" in capsys.readouterr().out


# Charts and exercises


def test_charts_draw_what_was_recorded():
    times = {"notes": 60.0, "first": 20.0, "later": 2.0}
    assert encode(input_bars({"milliseconds": times, "ratio": {"first": 3.0, "later": 30.0}}))[0] == "image/png"
    row = {"way": "notes", "images_a_second_with_the_loader": 3.0, "images_a_second_of_the_step": 9.0}
    assert encode(speed_bars([row, {"way": "broken", "error": "no"}]))[0] == "image/png"


def solved_accumulate(model, batches, criterion, optimizer):
    optimizer.zero_grad()
    count = sum(len(images) for images, _ in batches)
    for images, masks in batches:
        loss = criterion(model(images), masks)
        (loss * len(images) / count).backward()
    optimizer.step()
    return model


def solved_from_bytes(images):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return (images / 255 - mean) / std


def solved_mean_loss(losses, counts):
    return sum(loss.detach() * count for loss, count in zip(losses, counts, strict=True)) / sum(counts)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_accumulate, solved_accumulate),
        (check_from_bytes, solved_from_bytes),
        (check_mean_loss, solved_mean_loss),
    ],
)
def test_solutions_pass_and_stubs_and_nonsense_do_not(check, answer, capsys):
    check(answer)
    assert capsys.readouterr().out.startswith("Right. ")
    for wrong in (None, ..., lambda *_: ..., lambda *_: None, lambda *_: 3, lambda: 1, 7, "text"):
        check(wrong)
        assert capsys.readouterr().out.startswith("Not yet: ")


class SilentGuard:
    """Stands in for a `DivergenceGuard`. The real one reads its loss in pinned memory, which is no sync on a GPU."""

    def start_epoch(self):
        pass

    def keep_weights(self):
        pass

    def check_step(self, mean_loss):
        pass

    def check(self, loss, where=""):
        return loss


@pytest.mark.parametrize("batches", [2, 5])
def test_an_epoch_reads_no_value_but_the_mean_loss_at_its_end(batches):
    model = TinyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [(torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8), torch.ones(2, 1, 4, 4, dtype=torch.uint8))] * batches

    def plain_mse(outputs, masks):  # without the check of the masks, which a loss of seglib makes on a CPU only
        return ((outputs - masks) ** 2).mean()

    work = functools.partial(
        train_one_epoch, model, data, plain_mse, optimizer, torch.device("cpu"), guard=SilentGuard()
    )
    assert count_syncs(work) == 1


# Loading ahead


def test_a_step_begins_when_its_batch_is_there_and_no_worker_runs_too_far_ahead():
    loaded, done = loading_timeline(9, 3.0, 10.0, num_workers=2, prefetch_factor=2)
    by_number = {number: loaded[number % 2][number // 2] for number in range(9)}
    assert all(done[number][0] >= by_number[number][1] for number in range(9))
    for number, (begin, _) in by_number.items():
        taken = sum(step_begin <= begin for step_begin, _ in done)
        assert number - taken < 4  # two workers, two batches each
    assert by_number[6][0] == done[2][0]  # its worker is free long before: it waits until a place is


def test_the_drawing_numbers_each_batch_once_for_who_loads_it_and_once_for_the_gpu():
    figure = loading_figure(4, 30, 20, num_workers=2)
    assert [axes.get_title().rsplit(": ")[-1] for axes in figure.axes] == ["160 ms", "140 ms", "110 ms"]
    for axes in figure.axes:
        assert sorted(text.get_text() for text in axes.texts) == sorted("11223344")
    assert encode(figure)[0] == "image/png"


class LoadRecorder(Dataset):
    """A dataset of `count` numbers. `loaded`, in memory that all processes share, says which of them were loaded."""

    def __init__(self, count: int):
        self.loaded = torch.zeros(count, dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.loaded)

    def __getitem__(self, idx: int) -> int:
        self.loaded[idx] = True
        return idx


def batches_loaded_ahead(num_workers: int, prefetch_factor: int = 2, batches: int = 12, timeout: float = 60.0) -> int:
    """How many batches a real `DataLoader` has loaded when the first of them is in use and the workers rest.

    Args:
        num_workers: of a torch `DataLoader`.
        prefetch_factor: batches that each worker loads ahead.
        batches: in an epoch, of two numbers each.
        timeout: seconds after which what has been loaded is counted.
    """
    dataset = LoadRecorder(2 * batches)
    options = {"num_workers": num_workers, "prefetch_factor": prefetch_factor} if num_workers else {}
    iterator = iter(DataLoader(dataset, batch_size=2, **options))  # type: ignore[arg-type]
    next(iterator)
    expected = min(num_workers * prefetch_factor + 1, batches)
    end = time.monotonic() + timeout
    while dataset.loaded.sum() < 2 * expected and time.monotonic() < end:
        time.sleep(0.05)
    if num_workers:
        time.sleep(0.3)  # workers that load further ahead than expected would go on here
    return int(dataset.loaded.sum()) // 2


@pytest.mark.parametrize(("num_workers", "prefetch_factor", "batches"), [(0, 2, 1), (1, 1, 2), (2, 2, 5)])
def test_torch_loads_as_far_ahead_as_we_say(num_workers, prefetch_factor, batches):
    assert batches_loaded_ahead(num_workers, prefetch_factor) == batches
