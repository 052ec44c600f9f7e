"""Owns where a link between two files of the repository leads on the site.

A page of the site lies where its file lies in the repository, so most links stay as they are. The exceptions: the
README is the first page, a file that is no Markdown and no notebook becomes a page that shows it, a folder has no page
and is looked at on GitHub, and an anchor of the glossary is written in small letters, as Sphinx writes it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.notebooks.environment import REF, ROOT, repository
from tools.notebooks.glossary import github_anchor

LINK = re.compile(r"(?P<head>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*)(?P<target>[^)\s]+)")
PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".gif"}
PAGES = {".md", ".ipynb"}
GLOSSARY = "notebooks/GLOSSARY.md"


def page_of(path: str) -> str:
    """The file of the site's source that shows a file of the repository; both relative, with forward slashes."""
    if path == "README.md":
        return "index.md"
    return path if PurePosixPath(path).suffix in PAGES | PICTURES else f"{path}.md"


def linked_file(target: str, page: str) -> str | None:
    """The file or folder of the repository that a link on `page` means; None where it leads out, or nowhere."""
    name = target.partition("#")[0]
    if not name or ":" in name:
        return None
    path = os.path.normpath((PurePosixPath(page).parent / name).as_posix()).replace(os.sep, "/")
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def linked_files(text: str, page: str) -> Iterator[str]:
    """Every file of the repository that a Markdown text on `page` links or shows."""
    for match in LINK.finditer(text):
        path = linked_file(match["target"], page)
        if path and (ROOT / path).is_file():
            yield path


def with_site_links(text: str, page: str) -> str:
    """The Markdown text of `page` with each link as the site needs it."""
    return LINK.sub(lambda match: match["head"] + _on_site(match["target"], page), text)


def _on_site(target: str, page: str) -> str:
    path = linked_file(target, page)
    if path is None:
        return target
    if (ROOT / path).is_dir():
        return f"{repository()}/tree/{REF}/{path}"
    _, mark, anchor = target.partition("#")
    start = PurePosixPath(page_of(page)).parent.as_posix()
    address = os.path.relpath(page_of(path), start).replace(os.sep, "/")
    return address + mark + (slug(anchor) if path == GLOSSARY else anchor)


def slug(heading: str) -> str:
    """The anchor of a heading on the site, which is also that on GitHub."""
    return github_anchor(re.sub(r"<[^>]+>", "", heading))  # without the anchor that the glossary has for JupyterLab
