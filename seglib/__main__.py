"""`python -m seglib`: see seglib/cli/main.py. See 13_your_own_data."""

from seglib.cli.main import main

raise SystemExit(main())
