"""`python -m seglib.doctor IMAGES MASKS`: the command of seglib/cli/doctor.py. Explained in 13_your_own_data."""

import sys

from seglib.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["doctor", *sys.argv[1:]]))
