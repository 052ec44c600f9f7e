"""Builds the site into build/site/html, and says how long it took and how large it is. Used by `make site`.

python -m tools.site.build
"""

import shutil
import sys
import time
from pathlib import Path

from sphinx.cmd.build import build_main

from tools.notebooks.environment import ROOT
from tools.site.stage import stage

BUILD = ROOT / "build" / "site"
SOURCE = BUILD / "source"
HTML = BUILD / "html"


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    begin = time.perf_counter()
    shutil.rmtree(BUILD, ignore_errors=True)
    stage(SOURCE)
    # -W: a link that leads nowhere is a warning of Sphinx, and stops the build. -n would also ask for torch's pages.
    failed = build_main(["-q", "-W", "--keep-going", "-b", "html", "-c", str(ROOT / "site"), str(SOURCE), str(HTML)])
    if failed:
        return failed
    shutil.rmtree(HTML / ".doctrees", ignore_errors=True)
    pages = len(list(HTML.rglob("*.html")))
    seconds = time.perf_counter() - begin
    print(f"{pages} pages, {megabytes(HTML):.1f} MB, {seconds:.0f} s: open {(HTML / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
