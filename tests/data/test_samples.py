"""The samples: what each side of the split holds, and that the test scenes are new and are kept for one notebook."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.doctor.near_twins import find_same_scenes, grid_of
from tools.notebooks.environment import NOTEBOOKS, ROOT

SAMPLES = ROOT / "data_samples"
TEST = SAMPLES / "test"
SPLIT = read_split(SAMPLES / "split.json")
CLASSES = ["background", "apple", "lemon", "banana"]
LOOKS_AT_THEM = "predict"  # the notebook that may, by its name without the number; seglib/lesson/ has its folder
# How code names the test scenes: the side, its folder, a stem, a search through all folders.
NAMES_THEM = re.compile(
    r"""\.test\b|["']test["']|\btest/|/test\b|side[ =]test\b|fruit_0(?:4[89]|5\d|6[0-3])|\brglob\b|\*\*/"""
)
# A search that is none of theirs: through the folders that the cell has just written.
OF_ITS_OWN = {
    "13_your_own_data": (
        "for folder in write_exports(samples, root):\n"
        "    print(folder.name)\n"
        '    for path in sorted(folder.rglob("*")):'
    )
}
CODE_IN_PROSE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def lessons_and_benchmarks() -> Iterator[tuple[str, str]]:
    """(name, source) of each notebook, of what only lessons need, of each benchmark and example."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if path.stem.partition("_")[2] == LOOKS_AT_THEM:
            continue
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            source = "".join(cell["source"])
            code = source if cell["cell_type"] == "code" else "\n".join(CODE_IN_PROSE.findall(source))
            yield f"{path.stem}, cell {number}", code.replace(OF_ITS_OWN.get(path.stem, "\0"), "")
    for folder in ("seglib/lesson", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent.name != LOOKS_AT_THEM:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.notebook
def test_only_one_notebook_reads_the_test_scenes_and_no_benchmark():
    sources = list(lessons_and_benchmarks())
    assert len(sources) > 500
    assert [(name, found[0]) for name, code in sources if (found := NAMES_THEM.search(code))] == []
    assert (NOTEBOOKS / f"11_{LOOKS_AT_THEM}.ipynb").is_file()


@pytest.mark.parametrize(
    "code",
    [
        "pictures.subset(split.test)",
        'stems = split.side("test")',
        'CustomDataset(samples / "test" / "images", samples / "test" / "masks")',
        'Path("../data_samples/test/images")',
        'main(f"evaluate run.pt {folder}/test/images {masks} --side test".split())',
        'load_image(folder / "fruit_051.jpg")',
        'samples.rglob("*.jpg")',
        'samples.glob("**/*.jpg")',
    ],
)
def test_code_that_reads_them_is_found(code: str):
    assert NAMES_THEM.search(code)


@pytest.mark.parametrize("code", ["everything.subset(split.train)", 'dataset.subset(["fruit_047"])', "latest.pt"])
def test_code_that_does_not_is_left_alone(code: str):
    assert not NAMES_THEM.search(code)


def test_who_lists_the_folder_of_the_photographs_sees_both_other_sides_and_no_test_scene():
    for masks in ("masks", "class_masks"):
        dataset = CustomDataset(SAMPLES / "images", SAMPLES / masks)
        assert dataset.stems == sorted(SPLIT.train + SPLIT.validation)
        assert CustomDataset(TEST / "images", TEST / masks).stems == SPLIT.test


def test_the_test_scenes_are_like_the_others_in_kind():
    assert len(SPLIT.test) == 16
    binary = CustomDataset(TEST / "images", TEST / "masks")
    labelled = CustomDataset(TEST / "images", TEST / "class_masks", classes=CLASSES)
    sizes = []
    scenes_with = np.zeros(len(CLASSES), int)
    for (image, mask), (_, labels) in zip(binary, labelled, strict=True):
        assert image.size == mask.size == labels.size
        sizes.append(image.size)
        fruit = np.asarray(mask) == 255
        classes = np.asarray(labels)
        sure = classes != 255
        assert (fruit == (classes > 0))[sure].all()
        assert 0.04 < fruit.mean() < 0.4
        scenes_with += [int((classes == label).any()) for label in range(len(CLASSES))]
    assert (sizes.count((1280, 960)), sizes.count((960, 1280)), sizes.count((1600, 1200))) == (13, 2, 1)
    assert (scenes_with[1:] >= 7).all()  # of each fruit


def test_no_scene_is_a_near_twin_of_another_the_test_scenes_included():
    pictures = {}
    for folder in (SAMPLES, TEST):
        dataset = CustomDataset(folder / "images", folder / "masks")
        pictures |= {stem: image for stem, (image, _) in zip(dataset.stems, dataset, strict=True)}
    grids = {stem: grid_of(picture) for stem, picture in pictures.items()}
    assert len(grids) == 64
    assert find_same_scenes(grids).twins == []
    copy = pictures["fruit_007"].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grids[SPLIT.test[0]] = grid_of(copy)  # as if a test scene were one that was trained on
    assert [(one.first, one.second, one.how) for one in find_same_scenes(grids).twins] == [
        ("fruit_007", SPLIT.test[0], "mirrored")
    ]
