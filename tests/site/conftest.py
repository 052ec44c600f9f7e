"""Tests of the built site need what site/requirements.txt installs. `make site` and `make site-browser` run them.

`make test`, which has none of it, runs only the tests of how pages are written.
"""

import os

if "SEGLIB_SITE" not in os.environ:
    collect_ignore = ["built.py", "test_built_site.py", "test_in_browser.py", "test_extensions.py"]
