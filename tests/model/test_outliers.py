import pytest
import torch

from digitline.model import outliers
from digitline.model.outliers import KINDS


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_is_the_same_for_the_same_seed_and_fills_images_of_any_size(digits, kind):
    for images in (digits.train.images, digits.train.images[:, 2:, 5:]):
        drawn = kind(images, 40, seeded())
        assert drawn.shape == (40, *images.shape[1:])
        assert torch.equal(drawn, kind(images, 40, seeded()))
        assert not torch.equal(drawn, kind(images, 40, seeded(1)))
        assert drawn.isfinite().all()
        assert drawn.round().min() >= 0
        assert drawn.round().max() <= 255
        assert len(drawn.unique(dim=0)) == 40
        assert (drawn.flatten(1).amax(1) > 127).float().mean() > 0.9


def test_a_pool_has_as_many_of_each_kind(digits):
    drawn = outliers.pool(digits.train.images, 3 * len(KINDS) + 2, seeded())
    assert (len(drawn), drawn.dtype) == (3 * len(KINDS) + 2, torch.uint8)
    generator = seeded()
    first = [kind(digits.train.images, 4, generator)[0] for kind in KINDS]
    assert torch.equal(drawn[: len(KINDS)].float(), torch.stack(first).round().clamp(0, 255))


def test_shuffled_patches_are_those_of_an_image_and_none_stays_in_its_place():
    images = torch.arange(16).view(4, 4).repeat_interleave(7, 0).repeat_interleave(7, 1)  # a value per patch
    one = outliers.shuffled(images.unsqueeze(0).byte().numpy(), 1, seeded())[0]
    assert sorted(one[::7, ::7].flatten().tolist()) == list(range(16))
    assert (one != images).all()


def test_halves_lie_where_the_other_one_was(digits):
    images = digits.train.images[:1]
    whole = torch.from_numpy(images[0]).float()
    swapped = [whole.roll(14, axis) for axis in (0, 1)]
    assert all(any(torch.equal(one, other) for other in swapped) for one in outliers.halves(images, 10, seeded()))


def test_the_inside_of_a_polygon_is_filled_and_nothing_else():
    corners = torch.tensor([[[-5.0, -3.0], [5.0, -3.0], [5.0, 3.0], [-5.0, 3.0]]])
    found = outliers.inside(corners, torch.zeros(1, 28, 28).numpy())[0]
    assert found.sum() == 10 * 6
    assert found[11:17, 9:19].all()
