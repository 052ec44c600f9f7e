"""The floors of seglib: imports only go down. Read from the source, so that an import inside a function counts too."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seglib

PACKAGE = Path(seglib.__file__).parent

# The floors, ground first. `errors` lies under everything; `dataset` stands on `files`, `pictures` and `labels`.
FLOORS = [
    ["errors"],
    ["alignment", "cache", "device", "files", "pictures", "precision", "storage", "watch"],
    ["batches", "checkup", "guard", "labels", "model", "optim", "metrics", "photos", "processes", "stopping", "tiles"],
    ["arguments", "dataset", "losses", "transforms"],
    ["fast", "states"],
    ["loaders", "engine", "checkpoint"],
    ["distributed", "findings", "predict"],
    ["doctor", "folders"],
    ["train"],
]
FLOOR_OF = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
LESSONS = {
    "errors": "01_dataset",
    "cache": "08_cuda",
    "device": "08_cuda",
    "fast": "08_cuda",
    "precision": "08_cuda",
    "files": "01_dataset",
    "pictures": "01_dataset",
    "dataset": "01_dataset",
    "labels": "02_transforms",
    "transforms": "02_transforms",
    "model": "04_model",
    "guard": "05_loss",
    "losses": "05_loss",
    "optim": "05_loss",
    "metrics": "05_loss",
    "batches": "03_dataloader",
    "loaders": "03_dataloader",
    "watch": "07_training_loop",
    "engine": "07_training_loop",
    "stopping": "09_when_to_stop",
    "states": "09_when_to_stop",
    "storage": "09_when_to_stop",
    "checkpoint": "09_when_to_stop",
    "photos": "11_predict",
    "tiles": "11_predict",
    "predict": "11_predict",
    "folders": "11_predict",
    "alignment": "13_your_own_data",
    "checkup": "13_your_own_data",
    "findings": "13_your_own_data",
    "doctor": "13_your_own_data",
    "arguments": "14_many_gpus",
    "distributed": "14_many_gpus",
    "processes": "14_many_gpus",
    "train": "14_many_gpus",
}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
LESSON = sorted((PACKAGE / "lesson").glob("*.py"))
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


def imports_of(path: Path) -> set[str]:
    """The full names of all that a file of seglib imports; of `from a import b` both a and a.b."""
    package = ("seglib", *path.relative_to(PACKAGE).parent.parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def modules_imported(path: Path) -> set[str]:
    """The modules of seglib, by their short names, that a file imports."""
    parts = [name.split(".") for name in imports_of(path)]
    return {part[1] for part in parts if part[0] == "seglib" and len(part) > 1} & {*FLOOR_OF, "lesson"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_only_go_down(path: Path):
    assert path.stem in FLOOR_OF, f"{path.name} stands on no floor: name it in DESIGN's table and here"
    for other in modules_imported(path):
        assert other != "lesson", f"{path.name} imports seglib.lesson, which nothing above it may"
        assert FLOOR_OF[other] < FLOOR_OF[path.stem], f"{path.name} imports {other}, which is on no lower floor"


def test_imports_that_go_up_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "errors.py"
    lines = (
        "import seglib.training.loop",
        "from seglib.training.loop import fit",
        "from seglib import engine",
        "from . import engine",
    )
    for line in lines:
        path.write_text(f"def late():\n    {line}\n")
        assert modules_imported(path) == {"engine"}


def test_the_package_itself_leaves_lessons_out():
    assert "lesson" not in modules_imported(PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", [PACKAGE / "__init__.py", *MODULES], ids=lambda path: path.stem)
def test_only_lessons_draw(path: Path):
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert not roots & {"matplotlib", "ipywidgets", "IPython"}, f"{path.name} draws: that belongs in seglib/lesson"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_opens_with_what_it_owns_and_its_notebook(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path.name} has no docstring"
    lesson = LESSONS[path.stem]
    assert lesson in docstring, f"{path.name} does not name the notebook that explains it, {lesson}"


@pytest.mark.parametrize("path", LESSON, ids=lambda path: path.stem)
def test_a_module_of_lessons_says_what_it_owns(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_short(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert 40 <= lines <= 150, f"{path.name} has {lines} lines; 40 to 150 are wanted"


def lines_of_code(path: Path) -> int:
    """The lines that do something. What is there to be read is not counted: docstrings, comments, words of errors."""
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    words = [node.body[0] for node in nodes if isinstance(node, DOCUMENTED) and ast.get_docstring(node)]
    words += [node for node in nodes if isinstance(node, ast.Raise)]
    read = {number for node in words for number in range(node.lineno, node.end_lineno + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and line.lstrip()[0] != "#" and number not in read for number, line in lines)


def test_seglib_without_lessons_is_small():
    assert sum(lines_of_code(path) for path in PACKAGE.glob("*.py")) <= 2000  # DESIGN says 1500


def seconds_to_import() -> float:
    """What `import seglib` costs once torch and torchvision are there, in a process of its own."""
    code = (
        "import sys, time, torch, torchvision; begin = time.perf_counter(); import seglib; "
        "print(time.perf_counter() - begin); "
        "assert not {'matplotlib', 'ipywidgets', 'seglib.lesson'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True).stdout)


def test_import_costs_under_100_ms_more_than_torch():
    seconds_to_import()  # once unmeasured: the first start may compile the files
    # The quickest of three: other work on the machine can only add to the time, never take away from it.
    assert min(seconds_to_import() for _ in range(3)) < 0.1


def test_lessons_in_docstrings_are_those_of_the_series():
    assert set(LESSONS) == set(FLOOR_OF)
    assert all(re.fullmatch(r"\d\d_[a-z_]+", lesson) for lesson in LESSONS.values())
