"""Names the small arrows that fold the side bar: the theme draws them without a word for a screen reader."""

from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx

AFTER_THE_THEME = 900


def name_arrows(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Let the theme's function for the side bar give each arrow the name of the pages that it folds, in place."""
    generate: Callable[..., Any] | None = context.get("generate_toctree_html")
    if generate is None:
        return

    def with_names(*arguments: Any, **options: Any) -> Any:
        tree = generate(*arguments, **options)
        for arrow in getattr(tree, "select", lambda _: [])("li > details > summary"):
            link = arrow.find_parent("li").find("a")
            arrow["aria-label"] = f"Pages below {link.get_text(strip=True)}"
        return tree

    context["generate_toctree_html"] = with_names


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", name_arrows, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
