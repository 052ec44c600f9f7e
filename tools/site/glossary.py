"""Puts the two sentences of a glossary's term at each link to it, where a pointer or the keyboard finds them.

In the page they are the link's title. `site/_static/glossary.js` shows them as a tooltip that the keyboard reaches too.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from tools.site.links import slug

PAGE = "notebooks/GLOSSARY"
ENTRY = re.compile(r"^##\s+(?P<term>.+?)\s*$\n+(?P<words>.+?)(?=^##\s|\Z)", re.MULTILINE | re.DOTALL)


def definitions(text: str) -> dict[str, str]:
    """The glossary's terms, by their anchors, and the first paragraph of each as plain text."""
    found = {}
    for match in ENTRY.finditer(text):
        paragraph = match["words"].strip().split("\n\n")[0]
        found[slug(match["term"].replace("`", ""))] = plain(paragraph)
    return found


def plain(markdown: str) -> str:
    """Markdown without its links and marks, on one line."""
    words = re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[*`]", "", words).split())


def mark_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give each link to a term the term's definition and the class `glossary-term`, in place."""
    known = definitions((Path(app.srcdir) / f"{PAGE}.md").read_text(encoding="utf-8"))
    address = app.builder.get_relative_uri(docname, PAGE)
    for link in doctree.findall(nodes.reference):
        page, _, anchor = link.get("refuri", "").partition("#")
        if page == address and anchor in known:
            link["reftitle"] = known[anchor]
            link["classes"].append("glossary-term")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", mark_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
