"""Owns the exercise checks of 01_dataset about masks: a mask becomes a tensor, a mask's values are counted."""

import numpy as np
import torch
from PIL import Image

from seglib.lesson.checking import Attempt, NotYet, describe, exercise, number


@exercise
def check_mask_to_label(to_unit: Attempt) -> str:
    """Check `to_unit(mask)`: a PIL mask of 0 and 255 in, a float32 tensor (1, H, W) of 0.0 and 1.0 out."""
    values = np.zeros((3, 4), np.uint8)
    values[1, 1:], values[2, 3] = 255, 255
    wanted = torch.from_numpy(values // 255).float().unsqueeze(0)  # (1, 3, 4)
    label = to_unit(Image.fromarray(values), given="a mask 4 wide and 3 high")
    if not isinstance(label, torch.Tensor):
        raise NotYet(f"a label is a tensor; this is {describe(label)}. torch.from_numpy turns an array into one.")
    shape = tuple(label.shape)
    if shape == (3, 4):
        raise NotYet(
            "the shape is (3, 4); the model's outputs have a channel, so ours is (1, 3, 4): add it by unsqueeze(0)."
        )
    if shape == (3, 4, 1):
        raise NotYet("the channel stands last, (3, 4, 1); in torch it stands first: (1, 3, 4).")
    if shape == (1, 4, 3):
        raise NotYet("height and width are exchanged: PIL says (width, height), a tensor (1, height, width).")
    if shape != (1, 3, 4):
        raise NotYet(f"a mask 4 wide and 3 high is to give the shape (1, 3, 4); this is {shape}.")
    top = label.double().max().item()
    if top > 1.5:
        raise NotYet(f"the largest value is still {top:g}. The fruit is to be 1.0: divide by 255.")
    if 0 < top < 0.01:
        raise NotYet(f"the largest value is {top:.5f}: divided by 255 twice. ToTensor divides already.")
    if torch.equal(label.double(), 1 - wanted.double()):
        raise NotYet("fruit and background are exchanged: 255 is fruit and becomes 1.0.")
    if not torch.allclose(label.double(), wanted.double()):
        raise NotYet("some values are wrong: 0 stays 0.0, 255 becomes 1.0, and nothing moves.")
    if label.dtype != torch.float32:
        name = str(label.dtype).removeprefix("torch.")
        raise NotYet(
            f"the values are right, but of dtype {name}. The outputs are float32, and a loss compares like with "
            "like: call .float()."
        )
    return "One channel, float32, 0.0 and 1.0."


@exercise
def check_count_labels(count_labels: Attempt) -> str:
    """Check `count_labels(mask)`: a PIL mask in, a dict {value: number of pixels} of the values that occur out."""
    values = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [3, 255, 255, 0]], np.uint8)
    wanted = {0: 5, 1: 4, 3: 1, 255: 2}
    counts = count_labels(Image.fromarray(values), given="a mask of 12 pixels")
    if isinstance(counts, list | tuple) and {tuple(p) for p in counts if isinstance(p, tuple)} >= {(5, 0), (4, 1)}:
        raise NotYet("getcolors lists (count, value). Turn each into a key and its value: {value: count}.")
    if not isinstance(counts, dict):
        raise NotYet(f"a dict {{value: number of pixels}} is expected; this is {describe(counts)}.")
    keys = list(counts)
    if any(isinstance(key, str) for key in keys):
        raise NotYet("the keys are text. A label value is a number: 255, not '255'.")
    if any(isinstance(key, tuple) for key in keys):
        raise NotYet(
            "the keys are colours: the mask became RGB on the way. Its numbers are the labels, so leave its mode."
        )
    if any(isinstance(key, torch.Tensor) for key in keys):
        raise NotYet("the keys are tensors, and no two tensors are one key. Take the number out: value.item().")
    plain: dict[float, float] = {}
    for key, count in counts.items():
        value, pixels = number(key), number(count)
        if value is None or pixels is None:
            raise NotYet("keys and values are to be whole numbers: {value: number of pixels}.")
        plain[value] = pixels
    if plain == wanted:
        return "Each value that occurs, with its pixels."
    without = {value: count for value, count in plain.items() if count}
    if without == wanted:
        raise NotYet(f"{len(plain) - len(without)} values that do not occur are listed with 0 pixels. Leave them out.")
    if plain == {value: count / 12 for value, count in wanted.items()}:
        raise NotYet("these are shares of the picture. Give back the numbers of pixels.")
    if plain == {count: value for value, count in wanted.items()}:
        raise NotYet("key and value are exchanged: {value: number of pixels}. getcolors gives (count, value).")
    if sum(plain.values()) == 36:
        raise NotYet("each pixel is counted three times: the mask became RGB on the way. Leave its mode.")
    if plain == {value: count for value, count in wanted.items() if value}:
        raise NotYet("the background is missing: 0 is a label too.")
    if plain == {value: count for value, count in wanted.items() if value != 255}:
        raise NotYet("255 is missing. What it means is not asked here: count it too.")
    if sum(plain.values()) != 12:
        raise NotYet(f"the mask has 12 pixels, and the counts add up to {sum(plain.values()):g}.")
    raise NotYet(
        f"0 is there 5 times, 1 4 times, 3 once, 255 twice. The answer has {len(plain)} values, and other counts."
    )
