"""What to type instead of `python -m seglib.training`, which is no command. See 13_your_own_data."""

raise SystemExit("seglib.training is no command. Type: python -m seglib train IMAGES MASKS --out run.pt")
