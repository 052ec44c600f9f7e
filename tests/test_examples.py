"""The scripts in examples/: they train on the samples, and say what is wrong with folders, files and options."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image

from seglib.model import build_deeplab, bundled_weights_path
from tests.support.helpers import make_folders
from tools.notebooks.environment import ROOT

SCRIPT = ROOT / "examples" / "finetune.py"
SAMPLES = ROOT / "data_samples"
BUNDLED = str(bundled_weights_path())


def load_script():
    spec = importlib.util.spec_from_file_location("finetune", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


finetune = load_script()


def run(*words, cwd):
    """Run the script as a reader does, in a process of its own, far from seglib."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-W", "error::UserWarning", str(SCRIPT), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_it_imports_nothing_but_torch_torchvision_pillow_and_python():
    names = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    assert names - sys.stdlib_module_names == {"torch", "torchvision", "PIL"}


def test_two_epochs_on_the_samples_on_the_device_that_is_here(tmp_path):
    folders = SAMPLES / "images", SAMPLES / "masks", "--split", SAMPLES / "split.json"
    done = run(*folders, "--size", 120, 160, "--epochs", 2, "--weights", BUNDLED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("32 pictures to train on, 16 to validate on, 2 epochs on ")
    if torch.cuda.is_available():
        assert lines[0].endswith(" on cuda")
    pattern = r"epoch (\d): loss (\d\.\d+), validation IoU (\d\.\d+)"
    epochs = [re.fullmatch(pattern, line).groups() for line in lines[1:3]]
    assert [epoch for epoch, _, _ in epochs] == ["1", "2"]
    assert float(epochs[1][1]) < float(epochs[0][1])  # the loss falls
    assert float(epochs[1][2]) > 0.2  # all black is 0, all white 0.19
    assert os.listdir(tmp_path) == ["finetuned.pt"]
    build_deeplab(weights=tmp_path / "finetuned.pt")  # what it saved, seglib reads


@pytest.fixture
def folders(tmp_path):
    images, masks = make_folders(tmp_path, "abcdef")
    return [str(images), str(masks)]


SMALL = ["--size", "48", "64", "--epochs", "1", "--batch-size", "2", "--device", "cpu"]


def train(folders, tmp_path, *more):
    finetune.main([*folders, *SMALL, "--weights", BUNDLED, "--out", str(tmp_path / "out.pt"), *more])


def test_it_goes_on_from_what_it_saved_with_its_last_layer(folders, tmp_path):
    train(folders, tmp_path)
    saved = torch.load(tmp_path / "out.pt", weights_only=True)
    model = finetune.build_deeplab("deeplabv3_mobilenet_v3_large", str(tmp_path / "out.pt"))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in saved.items())
    assert saved["classifier.4.weight"].shape == (1, 256, 1, 1)


def test_the_same_seed_gives_the_same_weights(folders, tmp_path):
    states = []
    for seed in ("0", "0", "1"):
        train(folders, tmp_path, "--seed", seed)
        states.append(torch.load(tmp_path / "out.pt", weights_only=True)["classifier.4.weight"])
        os.remove(tmp_path / "out.pt")
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_every_picture_is_on_one_side_by_chance_or_as_the_file_says(folders, tmp_path):
    dataset = finetune.CustomDataset(*folders)
    args = finetune.read_arguments([*folders, "--validation-share", "0.34"])
    train_indices, validation = finetune.split_indices(dataset, args)
    assert (len(train_indices), len(validation)) == (4, 2)
    assert sorted(train_indices + validation) == list(range(6))
    named = tmp_path / "split.json"
    named.write_text(json.dumps({"train": ["f", "a", "b", "c"], "validation": ["d"]}), encoding="utf-8")
    args = finetune.read_arguments([*folders, "--split", str(named)])
    assert finetune.split_indices(dataset, args) == ([5, 0, 1, 2], [3])


def test_a_mask_becomes_0_and_1_whether_its_white_is_255_or_1(folders):
    for white in (255, 1):
        Image.new("L", (64, 48), white).save(f"{folders[1]}/a.png")
        Image.new("RGB", (64, 48)).save(f"{folders[0]}/a.jpg")
        _, mask = finetune.CustomDataset(*folders, mask_transform=finetune.transforms.ToTensor())[0]
        assert mask.unique().tolist() == [1.0]


def test_the_iou_counts_all_pixels_of_all_pictures():
    class Given(torch.nn.Module):
        def forward(self, images):
            return {"out": images[:, :1]}

    predicted = torch.tensor([[1.0, 1, -1, -1], [1, -1, -1, -1]]).view(2, 1, 1, 4)
    target = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0]]).view(2, 1, 1, 4)
    batches = [(predicted[:1], target[:1]), (predicted[1:], target[1:])]
    model = Given().train()
    assert finetune.evaluate(model, batches, "cpu") == 1 / 4
    assert not model.training


def test_the_loss_is_that_of_the_lessons():
    from seglib.losses import make_loss

    outputs = torch.randn(2, 1, 6, 8)
    masks = (torch.rand(2, 1, 6, 8) > 0.5).float()
    torch.testing.assert_close(finetune.bce_dice(outputs, masks), make_loss("bce_dice")(outputs, masks))


# Errors


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--batch-size", "1"], "2 or more"),
        (["--epochs", "0"], "1 or more"),
        (["--out", "no/such/folder/out.pt"], "its folder does not"),
        (["--out", __file__], "exists already"),
        (["--weights", "nowhere.pt"], "There is no file nowhere.pt"),
        (["--weights", __file__], "holds no state dict"),
        (["--model", "deeplabv3_resnet50"], "does not fit deeplabv3_resnet50"),
        (["--split", __file__], "is no JSON file"),
        (["--validation-share", "0.99"], "0 pictures to train on, 6 to validate on"),
    ],
)
def test_an_option_that_cannot_be(folders, tmp_path, more, said):
    with pytest.raises(finetune.UserError, match=re.escape(said)):
        train(folders, tmp_path, *more)


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path):
    done = run("nowhere", tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "finetune.py: There is no folder nowhere.\n"


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(finetune, "get_model", offline)
    with pytest.raises(finetune.UserError, match="no network.*--weights FILE"):
        finetune.build_deeplab("deeplabv3_mobilenet_v3_large", "coco")


def test_an_image_without_mask_and_a_mask_without_image(folders):
    os.rename(f"{folders[1]}/a.png", f"{folders[1]}/z.png")
    with pytest.raises(finetune.UserError, match=r"\['a', 'z'\]"):
        finetune.CustomDataset(*folders)


def test_two_pictures_of_one_name(folders):
    Image.new("RGB", (64, 48)).save(f"{folders[0]}/a.bmp")
    with pytest.raises(finetune.UserError, match=r"a\.bmp and a\."):
        finetune.CustomDataset(*folders)


def in_colours(*colours):
    """A palette picture of 0 and 1, as programs for annotation write them, with these colours."""
    mask = Image.new("P", (64, 48), 0)
    mask.paste(1, (8, 8, 24, 24))
    mask.putpalette([number for colour in colours for number in colour])
    return mask


def test_a_palette_of_black_and_white_is_read(folders):
    Image.new("RGB", (64, 48)).save(f"{folders[0]}/a.jpg")
    in_colours((0, 0, 0), (255, 255, 255)).save(f"{folders[1]}/a.png")
    _, mask = finetune.CustomDataset(*folders, mask_transform=finetune.transforms.ToTensor())[0]
    assert mask.sum() == 16 * 16


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (Image.new("L", (64, 48), 2), r"holds \[2\]"),
        (in_colours((0, 0, 0), (128, 0, 0)), r"as grey, holds \[0, 38\].*palette picture"),
        (Image.new("L", (48, 64), 255), "They must be equal"),
    ],
)
def test_a_mask_that_is_none(folders, mask, said):
    Image.new("RGB", (64, 48)).save(f"{folders[0]}/a.jpg")
    mask.save(f"{folders[1]}/a.png")
    with pytest.raises(finetune.UserError, match=said):
        finetune.CustomDataset(*folders)[0]


def test_a_damaged_picture_is_named(folders):
    with open(f"{folders[1]}/a.png", "wb") as file:
        file.write(b"no picture")
    with pytest.raises(finetune.UserError, match=r"a\.png cannot be read as a picture"):
        finetune.CustomDataset(*folders)[0]


def test_a_split_that_names_a_picture_twice_or_one_that_is_not_there(folders, tmp_path):
    named = tmp_path / "split.json"
    named.write_text(json.dumps({"train": ["a", "b", "x"], "validation": ["a"]}), encoding="utf-8")
    with pytest.raises(finetune.UserError, match=r"\['x'\].*\['a'\]"):
        train(folders, tmp_path, "--split", str(named))


def test_a_loss_that_is_no_number_ends_it_before_the_weights_are_saved(folders, tmp_path):
    with pytest.raises(finetune.UserError, match="The loss became"):
        train(folders, tmp_path, "--lr", "1e20", "--epochs", "9")


# examples/many_gpus.py


def torchrun(*words, cwd, processes=2):
    """Start the script of many GPUs as a reader does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += [str(SCRIPT.with_name("many_gpus.py")), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_two_processes_train_save_and_print_once(tmp_path):
    folders = SAMPLES / "images", SAMPLES / "masks", "--split", SAMPLES / "split.json"
    done = torchrun(*folders, "--size", 72, 96, "--epochs", 2, "--weights", BUNDLED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    losses = [float(line.split()[3].rstrip(",")) for line in lines[:2]]
    assert losses[1] < losses[0]
    assert lines[2:] == ["The weights are in finetuned.pt."]
    model = finetune.build_deeplab(finetune.MODELS[0], str(tmp_path / "finetuned.pt"))  # names without "module."
    assert len(model.state_dict()) == len(torch.load(tmp_path / "finetuned.pt", weights_only=True))


def test_without_torchrun_one_line_says_how_to_start_it(folders, tmp_path):
    command = [sys.executable, str(SCRIPT.with_name("many_gpus.py")), *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert done.stderr == "many_gpus.py: Start it by torchrun: torchrun --nproc-per-node=2 many_gpus.py ...\n"


def test_a_batch_too_small_for_the_processes_is_told(folders, tmp_path):
    done = torchrun(*folders, "--weights", BUNDLED, "--batch-size", 3, cwd=tmp_path)
    assert done.returncode != 0
    assert "--batch-size 3 for 2 processes. Expected: a multiple of their number, 2 or more for each." in done.stderr
    assert not (tmp_path / "finetuned.pt").exists()
