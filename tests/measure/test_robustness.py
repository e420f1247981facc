import numpy as np
import pytest
import torch

from digitline.measure import robustness
from digitline.measure.robustness import FAMILIES, changed
from digitline.model import networks

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


@pytest.mark.parametrize("name", FAMILIES)
def test_colour_pictures_are_changed_too(name, photos):
    pixels = torch.from_numpy(photos.test.images).float().permute(0, 3, 1, 2)
    level = next(level for level in reversed(FAMILIES[name].levels) if level != FAMILIES[name].plain)
    images = changed(pixels, FAMILIES[name], level)
    assert images.shape == photos.test.images.shape
    assert not np.array_equal(images, photos.test.images)


def test_levels_in_pixels_grow_with_the_image():
    large = torch.nn.functional.interpolate(PIXELS, scale_factor=2)
    assert np.array_equal(changed(large, FAMILIES["shift right"], 3)[0, ::2, ::2], at("shift right", 3))


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
    assert (at("speckle", 0.2) != plain).mean() == pytest.approx(0.1, abs=0.03)  # the other half already had that value
    assert set(np.unique(at("glass", 1))) > {0}
    assert np.array_equal(at("glass", 3)[:6], plain[:6])  # farther from the strokes than it reaches
    assert np.array_equal(np.argwhere(at("motion", 3))[0], [9, 11])
    assert at("motion", 3).sum() == pytest.approx(plain.sum(), rel=0.01)
    assert at("brightness", 0.4).min() == 102
    assert at("fog", 0.5)[:8].std() > 10
    assert (at("spatter", 0.1) != plain).mean() == pytest.approx(0.1, abs=0.03)
    assert np.array_equal(at("stripe", 4)[:, 12:16], 255 - plain[:, 12:16])
    assert np.array_equal(at("stripe", 4)[:, :12], plain[:, :12])
    assert 20 < (at("lines", 1) > 127).sum() - (plain > 127).sum() < 80
    assert at("outline", 1)[12:16, 13:15].max() == 0 < at("outline", 1)[12, 12]


def test_every_level_is_scored_reproducibly(digits):
    torch.manual_seed(0)
    model = networks.build(network="plain", filters=[], hidden=8, classes=10).eval()
    lines = robustness.accuracies(model, robustness.changes(digits.test, images=50))
    assert len(lines) == sum(len(family.levels) for family in FAMILIES.values())
    assert lines == robustness.accuracies(model, robustness.changes(digits.test, images=50))
    plain = {value for name, level, value in lines if level == FAMILIES[name].plain}
    assert len(plain) == 1


def test_corrupted_is_the_mean_over_one_level_per_corruption():
    levels = [(name, level, 0.5) for name, family in FAMILIES.items() for level in family.levels]
    assert robustness.corrupted(levels) == 0.5
    harder = [(name, level, float(level == FAMILIES[name].corrupt)) for name, level, _ in levels]
    assert robustness.corrupted(harder) == 1
    corrupt = [family for family in FAMILIES.values() if family.corrupt is not None]
    assert len(corrupt) >= 15
    assert all(family.corrupt in family.levels and family.corrupt != family.plain for family in corrupt)


def test_means_are_over_runs():
    assert robustness.means([[("a", 1, 0.5)], [("a", 1, 1.0)]]) == [("a", 1, 0.75)]
