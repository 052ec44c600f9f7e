"""What to type instead of `python -m seglib.inference`, which is no command. See 13_your_own_data."""

raise SystemExit("seglib.inference is no command. Type: python -m seglib predict RUN PHOTOS OUT")
