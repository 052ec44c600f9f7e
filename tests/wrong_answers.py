"""Typical wrong answers to the exercises, and the hint each must get.

The key is the notebook's stem and the exercise's name: `check_iou` checks the exercise `iou`. A wrong answer is the
code that a reader would write into the stub, under the stub's name, and a piece of the hint meant for it.
"""

WRONG_ANSWERS: dict[tuple[str, str], list[tuple[str, str]]] = {}
