"""What to type instead of `python -m seglib.data.formats`, which is no command. See 13_your_own_data."""

raise SystemExit("seglib.data.formats is no command. Type: python -m seglib convert SOURCE OUT")
