"""Writes the repository's address into set-up cells, heads of notebooks, and pages. Used by `make address`.

The address stands in one place, pyproject.toml. In a notebook it goes into the first code cell, which is the set-up
cell, and into the line of the head that links to Colab; elsewhere into the links to Colab and Kaggle, the `git clone`
lines, and CITATION.cff. No output changes, so nothing has to run again.

    python -m tools.notebooks.address [owner/name]        with a name, pyproject.toml is changed first
"""

import json
import re
import sys
from pathlib import Path

from tools.notebooks.environment import NOTEBOOKS, ROOT, colab_link, head_links, kaggle_link, repository, setup_cell

GITHUB = r"https://github\.com/[\w.-]+/[\w.-]+"
COLAB = re.compile(r"https://colab\.research\.google\.com/github/[\w./-]+?/notebooks/(\w+)\.ipynb")
KAGGLE = re.compile(rf"https://kaggle\.com/kernels/welcome\?src={GITHUB}/[\w./-]+?/notebooks/(\w+)\.ipynb")
CLONE = re.compile(rf"(git clone |repository-code: \"){GITHUB}")
HEAD_LINE = re.compile(r"^\[!?\[?Open in Colab\b.*$", re.MULTILINE)  # in words, as it was, or with badges
PAGES = ("README.md", "CITATION.cff")


def with_links(text: str) -> str:
    """The text with every link to Colab and Kaggle, and where it is cloned from, set to the repository's address."""
    text = COLAB.sub(lambda match: colab_link(match.group(1)), text)
    text = KAGGLE.sub(lambda match: kaggle_link(match.group(1)), text)
    return CLONE.sub(lambda match: match.group(1) + repository(), text)


def update(notebook: dict, stem: str) -> None:
    """Set the set-up cell, the links of the head and all others of one notebook, in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = with_links("".join(cell["source"])).splitlines(keepends=True)
    head = notebook["cells"][0]
    if head["cell_type"] == "markdown":
        head["source"] = HEAD_LINE.sub(lambda _: head_links(stem), "".join(head["source"])).splitlines(keepends=True)
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    if "git clone" in "".join(first["source"]):
        first["source"] = setup_cell().splitlines(keepends=True)


def write_if_changed(path: Path, text: str) -> None:
    if text != path.read_text(encoding="utf-8"):
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(ROOT)}: address written")


def set_address(name: str) -> None:
    """Put a GitHub repository, as owner/name, into pyproject.toml."""
    if not re.fullmatch(r"[A-Za-z0-9-]+/[\w.-]+", name):
        raise SystemExit(f"{name!r} is no repository. Expected: owner/name, as in make address REPO=pytorch/vision")
    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    write_if_changed(path, text.replace(f'"{repository()}"', f'"https://github.com/{name}"'))


def main() -> int:
    if sys.argv[1:]:
        set_address(sys.argv[1])
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        update(notebook, path.stem)
        write_if_changed(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    for name in PAGES:
        write_if_changed(ROOT / name, with_links((ROOT / name).read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
