"""The layers of seglib: imports only go down, never in a circle. Read from the source: late imports count too."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seglib
from tools.notebooks.environment import NOTEBOOKS

PACKAGE = Path(seglib.__file__).parent

# Folders and modules of the top level, lowest first. A module may import from lower lines, and within its own folder.
LAYERS = [
    ["errors"],
    ["device", "checkpoint_io", "progress"],
    ["data"],
    ["model", "optim", "metrics", "losses"],
    ["training"],
    ["inference"],
    ["doctor"],
    ["cli"],
    ["train", "__main__"],
    ["lesson"],
]
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}
# What real folders, many machines and the command line need stands around the core; the core imports none of it.
AROUND = (
    "seglib.training.distributed",
    "seglib.data.formats",
    "seglib.doctor",
    "seglib.cli",
    "seglib.train",
    "seglib.lesson",
)
MODULES_ON_IMPORT = 27  # of all libraries, beyond torch and torchvision; tqdm.auto, which chooses the bar, is three


def name_of_module(path: Path, package: Path = PACKAGE) -> str:
    parts = ("seglib", *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module of the package, by its full name."""
    return {name_of_module(path, package): path for path in sorted(package.rglob("*.py"))}


def stands_around(name: str) -> bool:
    return name.endswith(".__main__") or any(name == part or name.startswith(f"{part}.") for part in AROUND)


MODULES = modules()
OUTSIDE_LESSONS = {name: path for name, path in MODULES.items() if not name.startswith("seglib.lesson")}
CORE = {name: path for name, path in OUTSIDE_LESSONS.items() if not stands_around(name)}


def imports_of(name: str, path: Path) -> set[str]:
    """The full names of all that a module imports; of `from a import b` both a and a.b."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def edges(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Each module of the package and the modules of the package that it imports."""
    known = modules(package)
    return {name: (imports_of(name, path) & known.keys()) - {name} for name, path in known.items()}


def layer(name: str) -> int:
    part = "__main__" if name.endswith(".__main__") else name.split(".")[1]  # what is typed stands at the top
    assert part in LAYER_OF, f"{name} stands in no layer: name it in LAYERS"
    return LAYER_OF[part]


def upward(found: dict[str, set[str]]) -> list[str]:
    """Imports that go up, or across between two folders of one layer. The front door `seglib` may import the core."""
    wrong = []
    for name, others in found.items():
        for other in others - {"seglib"}:
            same_folder = name.split(".")[:2] == other.split(".")[:2]
            if name != "seglib" and not same_folder and layer(other) >= layer(name) and not sideways(name, other):
                wrong.append(f"{name} imports {other}")
    return wrong


def sideways(name: str, other: str) -> bool:
    """Modules of the top level may import each other within one layer; a circle between them is found elsewhere."""
    return layer(name) == layer(other) and name.count(".") == 1 and other.count(".") == 1


def circles(found: dict[str, set[str]]) -> list[str]:
    """The modules that import each other in a circle, one line each."""
    left = {name: set(others) for name, others in found.items()}
    while True:
        free = {name for name, others in left.items() if not others & left.keys()}
        if not free:
            return [f"{name} imports {', '.join(sorted(others & left.keys()))}" for name, others in left.items()]
        for name in free:
            del left[name]


def test_imports_only_go_down():
    assert upward(edges()) == []


def test_no_imports_form_a_circle():
    assert circles(edges()) == []


def test_the_core_imports_nothing_of_what_stands_around_it():
    for name in CORE:
        found = sorted(other for other in edges()[name] if stands_around(other))
        assert not found, f"{name} belongs to the core and imports {found}"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A small package with the layers of seglib, in which nothing is wrong."""
    for file, text in {
        "__init__.py": "from seglib.training.loop import fit",
        "errors.py": "",
        "data/__init__.py": "",
        "data/image_io.py": "from seglib.errors import SegError",
        "data/dataset.py": "from seglib.data.image_io import load_image",
        "training/__init__.py": "",
        "training/loop.py": "from seglib.data.dataset import CustomDataset",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    assert upward(edges(tmp_path)) == []
    assert circles(edges(tmp_path)) == []
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "import seglib.training.loop",
        "from seglib.training.loop import fit",
        "from seglib.training import loop",
        "from ..training import loop",
        "from ..training.loop import fit",
    ],
)
def test_an_import_that_goes_up_is_found(planted: Path, line: str):
    (planted / "data" / "image_io.py").write_text(f"def late():\n    {line}\n")
    assert "seglib.data.image_io imports seglib.training.loop" in upward(edges(planted))


@pytest.mark.parametrize("line", ["from seglib.data.dataset import CustomDataset", "from . import dataset"])
def test_a_circle_within_a_folder_is_found(planted: Path, line: str):
    (planted / "data" / "image_io.py").write_text(f"def late():\n    {line}\n")
    assert upward(edges(planted)) == []
    assert "seglib.data.dataset imports seglib.data.image_io" in circles(edges(planted))
    assert "seglib.data.image_io imports seglib.data.dataset" in circles(edges(planted))


@pytest.mark.parametrize("name", OUTSIDE_LESSONS)
def test_only_lessons_draw(name: str):
    roots = {imported.split(".")[0] for imported in imports_of(name, MODULES[name])}
    assert not roots & {"matplotlib", "ipywidgets", "IPython"}, f"{name} draws: that belongs in seglib/lesson"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_opens_with_a_sentence(name: str):
    assert ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", sorted(OUTSIDE_LESSONS.keys() - {"seglib"}))
def test_a_module_names_the_notebook_that_explains_it(name: str):
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8"))) or ""
    named = re.findall(r"\b\d\d_[a-z_]+\b", docstring)
    assert named, f"{name} does not name the notebook that explains it"
    for notebook in named:
        assert (NOTEBOOKS / f"{notebook}.ipynb").is_file(), f"{name} names {notebook}, which is no notebook"


def test_importing_seglib_stays_small():
    code = (
        "import sys, torch, torchvision; before = set(sys.modules); import seglib; "
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert len(imported) <= MODULES_ON_IMPORT, imported
    assert not {"seglib.lesson", "seglib.cli", "seglib.doctor", "matplotlib"} & set(imported)


def test_the_front_door():
    from seglib import CustomDataset, SegError, build_deeplab, evaluate, fit, make_loss, train_one_epoch

    for thing in (CustomDataset, SegError, build_deeplab, evaluate, fit, make_loss, train_one_epoch):
        assert thing.__name__ in seglib.__all__


def test_the_old_command_is_five_lines():
    text = (PACKAGE / "train.py").read_text(encoding="utf-8")
    statements = ast.parse(text).body
    assert len(statements) <= 5
    assert "from seglib.cli.train import main" in text
