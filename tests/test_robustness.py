import numpy as np
import pytest
import torch

from digitline import models, robustness
from digitline.robustness import FAMILIES, changed

PIXELS = torch.zeros(1, 1, 28, 28)
PIXELS[0, 0, 10:18, 12:16] = 255


def at(family, level):
    return changed(PIXELS, FAMILIES[family], level)[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_plain_level_changes_nothing_and_the_others_do(name, digits):
    family = FAMILIES[name]
    pixels = torch.from_numpy(digits.test.images[:8]).float().unsqueeze(1)
    assert family.plain in family.levels
    for level in family.levels:
        images = changed(pixels, family, level)
        assert images.shape == (8, 28, 28)
        assert images.dtype == np.uint8
        assert np.array_equal(images, digits.test.images[:8]) == (level == family.plain)


def test_each_family_does_what_its_name_says():
    plain = PIXELS[0, 0].byte().numpy()
    assert np.array_equal(at("shift right", 3), np.roll(plain, 3, 1))
    assert np.array_equal(at("shift down", -2), np.roll(plain, -2, 0))
    assert np.array_equal(at("inversion", 1), 255 - plain)
    assert at("occlusion", 12)[8:20, 8:20].max() == 0
    assert (at("thickness", 1) > 0).sum() == 10 * 6
    assert (at("thickness", -1) > 0).sum() == 6 * 2
    assert at("scale", 0.5).sum() < 0.5 * plain.sum() < at("scale", 1.2).sum()
    assert set(np.unique(at("contrast", 0.5))) == {64, 191}
    assert at("blur", 1).max() < 255
    assert at("noise", 0.4)[:5].std() > 20


def test_every_level_is_scored_and_always_alike(digits):
    torch.manual_seed(0)
    model = models.build(network="plain", filters=[], hidden=8, classes=10).eval()
    lines = robustness.accuracies(model, digits.test, images=50)
    assert len(lines) == sum(len(family.levels) for family in FAMILIES.values())
    assert lines == robustness.accuracies(model, digits.test, images=50)
    plain = {value for name, level, value in lines if level == FAMILIES[name].plain}
    assert len(plain) == 1


def test_means_are_over_runs():
    assert robustness.means([[("a", 1, 0.5)], [("a", 1, 1.0)]]) == [("a", 1, 0.75)]
