"""Keeps the glossary and the links to it in step: anchors that every page finds, and each term's sentence at its links.

A link `GLOSSARY.md#iou` finds the heading "IoU" on GitHub and on the site, which write the anchors of headings in lower
case. JupyterLab keeps capitals and brackets, so there such a heading needs the anchor written out. A link's title,
`[IoU](GLOSSARY.md#iou "...")`, is what a page shows at the pointer: the first sentence of the term. Both are
written by `make format`, which calls `tools.notebooks.check --fix`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tools.notebooks.environment import NOTEBOOKS

GLOSSARY = NOTEBOOKS / "GLOSSARY.md"
ENTRY = re.compile(r'^## (?:<a id="(?P<anchor>[^"]+)"></a>)?(?P<name>.+)\n+(?P<text>(?:(?!## ).*\n?)*)', re.MULTILINE)
LINK = re.compile(r'\]\(GLOSSARY\.md#(?P<anchor>[\w-]+)(?P<title>\s+"(?:[^"\\]|\\.)*")?\)')
SENTENCE = re.compile(r".+?[.?](?=\s|$)")


@dataclass(frozen=True)
class Term:
    """One entry: its heading, the anchor under which links find it, and its first sentence without markup."""

    name: str
    anchor: str
    sentence: str


def github_anchor(name: str) -> str:
    """The anchor that GitHub and the site give a heading.

    Example:
        >>> github_anchor("kernel (GPU)")
        'kernel-gpu'
    """
    return re.sub(r"[^\w\- ]", "", name.strip().lower()).replace(" ", "-")


def jupyterlab_anchor(name: str) -> str:
    """The anchor that JupyterLab gives a heading: only the blanks are replaced."""
    return name.replace(" ", "-")


def plain(markdown: str) -> str:
    """Markdown on one line without markup, fit for a title: that is plain text between quotation marks."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return re.sub(r"[`*]|\$", "", text).replace('"', "'").replace("\\", "")


def terms(glossary: str) -> dict[str, Term]:
    r"""The entries of a glossary by their anchors.

    Example:
        >>> terms("## IoU\n\nWhat two `masks` share. More is better.\n")["iou"].sentence
        'What two masks share.'
    """
    found = {}
    for entry in ENTRY.finditer(glossary):
        text = plain(entry["text"].strip().split("\n\n")[0])
        first = SENTENCE.match(text)
        name = entry["name"].strip()
        found[github_anchor(name)] = Term(name, github_anchor(name), first.group() if first else text)
    return found


def with_anchors(glossary: str) -> str:
    """The glossary with an anchor written out before each heading whose own one JupyterLab would write otherwise."""

    def heading(entry: re.Match[str]) -> str:
        name = entry["name"].strip()
        anchor = github_anchor(name)
        written = "" if jupyterlab_anchor(name) == anchor else f'<a id="{anchor}"></a>'
        return f"## {written}{name}\n\n{entry['text'].lstrip(chr(10))}"

    return ENTRY.sub(heading, glossary)


def with_titles(markdown: str, known: dict[str, Term]) -> str:
    """The text with its term's sentence as the title of each link to the glossary; unknown terms stay as they are."""

    def titled(link: re.Match[str]) -> str:
        term = known.get(link["anchor"])
        return f'](GLOSSARY.md#{term.anchor} "{term.sentence}")' if term else link.group()

    return LINK.sub(titled, markdown)


def update_links(notebook: dict, known: dict[str, Term]) -> list[int]:
    """Give the glossary links of a notebook their titles, in place; the numbers of the cells that changed, from 1."""
    changed = []
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] != "markdown":
            continue
        source = "".join(cell["source"])
        better = with_titles(source, known)
        if better != source:
            cell["source"] = better.splitlines(keepends=True)
            changed.append(number)
    return changed


def update_glossary(path: Path = GLOSSARY, *, fix: bool) -> list[str]:
    """What lacks an anchor in the glossary, a line at most. With `fix`, it is written and nothing is found."""
    text = path.read_text(encoding="utf-8")
    better = with_anchors(text)
    if better == text:
        return []
    if fix:
        path.write_text(better, encoding="utf-8", newline="\n")
        return []
    return [f"{path.name}: a heading lacks its anchor, or has one that it does not need (`make format`)"]
