"""The command line `python -m seglib.train IMAGES MASKS --out run.pt`, alone or under torchrun. See 14_many_gpus."""

import sys

from seglib.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
