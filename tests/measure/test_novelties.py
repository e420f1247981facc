import numpy as np
import pytest

from digitline.data.entry import Shape
from digitline.measure import novelties


@pytest.mark.parametrize("kind", novelties.KINDS)
def test_each_kind_is_drawn_the_same_again_within_the_image_with_its_ink_in_the_middle(kind):
    make = novelties.KINDS[kind]
    drawn = np.stack([novelties.one(make, seed, Shape()) for seed in range(20)])
    assert np.array_equal(drawn, np.stack([novelties.one(make, seed, Shape()) for seed in range(20)]))
    assert drawn.shape == (20, 28, 28)
    assert len(np.unique(drawn, axis=0)) == 20
    assert not drawn[:, [0, -1]].any()
    assert not drawn[:, :, [0, -1]].any()
    for axis in (1, 2):
        ink = drawn.sum(3 - axis, dtype=float)
        assert ((ink * np.arange(28)).sum(1) / ink.sum(1)) == pytest.approx(13.5, abs=0.6)


def test_a_filled_ellipse_has_no_hole_and_an_open_triangle_has_one():
    ellipse, triangle = (
        novelties.one(novelties.KINDS[kind], 0, Shape()) for kind in ("filled ellipses", "open triangles")
    )
    assert ellipse[14, 14] == 255
    assert (triangle > 0).mean() < 0.3


def test_images_of_another_size_are_drawn_at_that_size():
    assert novelties.one(novelties.star, 0, Shape(20, 31)).shape == (20, 31)
