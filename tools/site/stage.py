"""Writes the folder that Sphinx reads: a page for each notebook, the glossary, the README, and each file they link.

A file that a page links is a page too, so that no link of the site needs a network. Nothing is executed, and nothing in
the repository is changed.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tools.notebooks.environment import NOTEBOOKS, ROOT
from tools.site.links import GLOSSARY, PAGES, PICTURES, linked_files, page_of, with_site_links
from tools.site.notebook_page import notebook_page

FIRST = "README.md"
BADGES = ROOT / "notebooks" / "badges"
LAST_OF_PART_ONE = "08"
LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".json": "json"}


def stage(folder: Path) -> list[str]:
    """Write the source of the site into an empty folder; return the files of the repository that it shows."""
    notebooks = [path.relative_to(ROOT).as_posix() for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    shown = with_all_they_link([FIRST, *notebooks, GLOSSARY])
    for path in shown:
        write_page(path, folder)
    shutil.copytree(BADGES, folder / "badges")
    others = [path for path in shown if path not in (FIRST, GLOSSARY, *notebooks) and not is_picture(path)]
    write(folder / "index.md", (folder / "index.md").read_text(encoding="utf-8") + contents_of_site())
    write(folder / "notebooks" / "index.md", lessons(notebooks))
    write(folder / "repository.md", repository_page(others))
    return shown


def with_all_they_link(paths: Iterable[str]) -> list[str]:
    """The files, those that they link, those that these link, and so on; each once, in the order in which it is met."""
    found = list(paths)
    for path in found:  # it grows while it is read
        found += dict.fromkeys(linked for linked in linked_files(text_of(path), path) if linked not in found)
    return found


def text_of(path: str) -> str:
    """The Markdown text of a file of the repository; of a notebook that of its cells; empty of all others."""
    match PurePosixPath(path).suffix:
        case ".md":
            return (ROOT / path).read_text(encoding="utf-8")
        case ".ipynb":
            cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
            return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return ""


def is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix in PICTURES


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_page(path: str, folder: Path) -> None:
    """Write the page of one file of the repository, or copy it, if it is a picture."""
    page = folder / page_of(path)
    suffix = PurePosixPath(path).suffix
    if is_picture(path):
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, page)
    elif suffix == ".ipynb":
        notebook = json.loads((ROOT / path).read_text(encoding="utf-8"))
        page.parent.mkdir(parents=True, exist_ok=True)
        write(page, json.dumps(notebook_page(notebook, PurePosixPath(path).stem, page.parent), ensure_ascii=False))
    elif suffix in PAGES:
        write(page, with_site_links(text_of(path), path))
    else:
        code = (ROOT / path).read_text(encoding="utf-8")
        write(page, f"# {path}\n\n````{LANGUAGES.get(suffix, 'text')}\n{code}````\n")


def toctree(entries: Iterable[str], *options: str) -> str:
    """A table of contents in MyST's words."""
    return "\n".join(("```{toctree}", *options, "", *entries, "```", ""))


def contents_of_site() -> str:
    return "\n" + toctree(["notebooks/index", "notebooks/GLOSSARY", "API <api/seglib/index>", "repository"], ":hidden:")


def lessons(notebooks: Iterable[str]) -> str:
    """The page that lists the notebooks, in two parts."""
    names = [PurePosixPath(path).stem for path in notebooks]
    one = [name for name in names if name[:2] <= LAST_OF_PART_ONE]
    two = [name for name in names if name[:2] > LAST_OF_PART_ONE]
    return "\n".join(
        (
            "# Lessons",
            "",
            "Each page is a notebook, as it was last run: read it here, or open it and run it.",
            "",
            "## Part one: the notes",
            "",
            toctree(one, ":maxdepth: 1"),
            "## Part two: beyond them",
            "",
            toctree(two, ":maxdepth: 1"),
        )
    )


def repository_page(others: Iterable[str]) -> str:
    """The page that lists what else of the repository is on the site."""
    entries = [page_of(path).removesuffix(".md") for path in others]
    return f"# Repository\n\nWhat else the lessons and the README speak of.\n\n{toctree(entries, ':maxdepth: 1')}"
