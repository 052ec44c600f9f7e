from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seglib.data.dataset import check_transformed_mask
from seglib.data.transforms import resize_labels
from seglib.errors import MaskError
from tests.support.helpers import check_message, quick

sides = st.integers(1, 60)
sizes = st.tuples(sides, sides)
MASK = Path("/home/me/masks/a.png")


@quick
@given(seed=st.integers(0, 2**32 - 1), old=sizes, new=sizes)
def test_resizing_copies_the_pixel_under_the_centre_as_pillow_does(seed, old, new):
    labels = np.random.default_rng(seed).integers(0, 256, old).astype(np.uint8)
    resized = resize_labels(torch.from_numpy(labels), new)
    wanted = torch.from_numpy(np.array(Image.fromarray(labels).resize(new[::-1], Image.Resampling.NEAREST)))
    middles = [(torch.arange(n) * 2 + 1) * o % (2 * n) for o, n in zip(old, new, strict=True)]
    clear = (middles[0] != 0)[:, None] & (middles[1] != 0)  # a centre on an edge between two may take either
    assert resized.dtype == torch.uint8
    assert resized.shape == new
    assert torch.equal(resized[clear], wanted[clear])


@quick
@given(seed=st.integers(0, 2**32 - 1), size=sizes, factor=st.integers(1, 4))
def test_larger_by_a_whole_number_and_back_is_where_we_started(seed, size, factor):
    labels = torch.randint(0, 256, size, generator=torch.Generator().manual_seed(seed))
    larger = resize_labels(labels, (size[0] * factor, size[1] * factor))
    assert torch.equal(larger, labels.repeat_interleave(factor, 0).repeat_interleave(factor, 1))
    assert torch.equal(resize_labels(larger, size), labels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.parametrize(("mask", "binary"), [([0, 1, 255], True), ([0, 2, 3, 255], False), ([0], True)])
def test_labels_that_the_file_holds_pass(mask, binary, dtype):
    check_transformed_mask(torch.tensor(mask, dtype=dtype), {0, 2, 3}, binary, MASK)


@pytest.mark.parametrize(
    ("mask", "binary", "mention"),
    [
        ([0, 1, 0.5], True, "0.5"),
        ([0, 2.0], True, "2"),
        ([0, 1], False, "1"),  # between background and class 2 there is no apple
        ([0, 2 / 255], False, "0.00784"),
    ],
)
def test_values_that_a_transform_invents_are_refused(mask, binary, mention):
    with pytest.raises(MaskError) as caught:
        check_transformed_mask(torch.tensor(mask), {0, 2, 3}, binary, MASK)
    check_message(caught.value, f": {mention}.", '"masks/a.png"', "nearest", never=MASK.parent)
