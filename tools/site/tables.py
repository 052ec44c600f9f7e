"""Mends tables that Markdown could not write: one without headings gets none, and its first column is its headings."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class HeadlessTables(SphinxTransform):
    """Markdown has no table without a row of headings, so a lesson's first table has an empty one."""

    default_priority = 500

    def apply(self, **arguments: object) -> None:
        for group in self.document.findall(nodes.tgroup):
            head = next(iter(group.findall(nodes.thead)), None)
            if head is not None and not head.astext().strip():
                group.remove(head)
                next(iter(group.findall(nodes.colspec)))["stub"] = 1


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(HeadlessTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
