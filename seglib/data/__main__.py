"""What to type instead of `python -m seglib.data`, which is no command. See 13_your_own_data."""

raise SystemExit("seglib.data is no command. Type: python -m seglib convert SOURCE OUT")
