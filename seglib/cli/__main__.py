"""`python -m seglib.cli` is `python -m seglib`. See 13_your_own_data."""

from seglib.cli.main import main

raise SystemExit(main())
