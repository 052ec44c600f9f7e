"""The procedural pictures: seeded, of the asked size, with labels that mean what they say, and colour that does not."""

import numpy as np
import pytest

from tools.assets import procedural, solids


def test_a_picture_is_a_function_of_seed_index_and_size():
    image, labels = procedural.picture(1, 7, (60, 80))
    again, labels_again = procedural.picture(1, 7, (60, 80))
    other, _ = procedural.picture(1, 8, (60, 80))
    assert np.array_equal(image, again)
    assert np.array_equal(labels, labels_again)
    assert not np.array_equal(image, other)


@pytest.mark.parametrize("size", [(60, 80), (90, 70)])
def test_size_and_dtype(size):
    image, labels = procedural.picture(3, 0, size)
    assert image.shape == (*size, 3)
    assert labels.shape == size
    assert image.dtype == labels.dtype == np.uint8


def test_every_class_appears_and_no_label_is_outside():
    seen = set()
    for index in range(60):
        seen |= set(np.unique(procedural.picture(2, index, (60, 80))[1]))
    assert seen == set(range(procedural.NUM_CLASSES))


@pytest.mark.parametrize("solid", solids.SOLIDS, ids=lambda solid: solid.__name__)
def test_a_solid_fits_its_square_and_has_unit_normals(solid):
    y, x = np.mgrid[1:-1:40j, -1:1:40j].astype(np.float32)
    inside, normals, brightness = solid(np.random.default_rng(0), x, y, 2 / 39)
    assert 0.02 < inside.mean() < 0.95
    assert np.allclose(np.linalg.norm(np.broadcast_to(normals, (3, 40, 40))[:, inside], axis=0), 1, atol=0.02)
    assert np.all(np.asarray(brightness) >= 0)


def test_colour_says_nothing_about_the_class():
    """The mean colours of the classes differ less than those of single pictures do: by far."""
    sums = np.zeros((procedural.NUM_CLASSES, 3))
    counts = np.zeros(procedural.NUM_CLASSES)
    means = []
    for index in range(120):
        image, labels = procedural.picture(5, index, (45, 60))
        np.add.at(sums, labels.ravel(), image.reshape(-1, 3) / image.mean())
        counts += np.bincount(labels.ravel(), minlength=procedural.NUM_CLASSES)
        means.append(image.reshape(-1, 3).mean(0) / image.mean())
    by_class = sums / counts[:, None]
    hue_of_classes = (by_class / by_class.mean(1, keepdims=True)).std(0)
    assert (hue_of_classes < np.std(means, axis=0)).all()
