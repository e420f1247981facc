import numpy as np
import pytest
import torch

from digitline.explain import filters
from digitline.explain.activations import Field
from digitline.model import networks


@pytest.fixture
def bars():
    """A network whose first filter detects a vertical bar and whose second detects a horizontal one."""
    network = networks.build(network="plain", filters=[2], hidden=4, activation="relu", classes=10).eval()
    with torch.no_grad():
        weights = networks.sequence(network)[0].get_parameter("weight")
        weights.fill_(-1)
        weights[0, 0, :, 2] = 4
        weights[1, 0, 2, :] = 4
    return network


def bar(*, upright: bool) -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[8:20, 14] = 255
    return image if upright else image.T


def test_a_planted_filter_is_excited_most_by_its_pattern(bars, digits):
    images = np.concatenate([digits.test.images[:50], [bar(upright=True), bar(upright=False)]])
    found = filters.respond(bars, images)
    assert found.peaks[0].argmax(0).tolist() == [50, 51]
    (stage,) = filters.stages(bars)
    row, column = divmod(int(found.places[0][50, 0]), found.widths[0])
    seen = filters.patch(images[50], stage.field, row, column)
    assert seen.shape == (6, 6)
    assert (seen == 255).all(0).sum() == 1


def test_the_image_that_excites_a_planted_filter_shows_its_pattern(bars):
    (stage,) = filters.stages(bars)
    upright, level = filters.exciting(bars, stage, 20).astype(int)
    for image in (upright, level.T):
        columns = image.mean(0)
        assert columns.max() > columns.min() + 100
        assert image.mean(1).std() < columns.std() / 2
    assert np.array_equal(filters.exciting(bars, stage, 20), filters.exciting(bars, stage, 20))


def test_the_stages_of_each_kind_of_network():
    plain = networks.build(network="plain", filters=[4, 6], hidden=8, classes=10)
    assert [(one.number, one.field, one.weights.shape) for one in filters.stages(plain)] == [
        (1, Field(6, 2, 0), (4, 1, 5, 5)),
        (2, Field(16, 4, 0), (6, 4, 5, 5)),
    ]
    modern = networks.build(network="modern", widths=[4, 6, 8, 10], classes=10)
    assert [len(one.weights) for one in filters.stages(modern)] == [4, 6, 6, 8, 10]
    connected = networks.build(network="plain", filters=[], hidden=7, classes=10)
    assert [(one.field.size, one.weights.shape) for one in filters.stages(connected)] == [(28, (7, 1, 28, 28))]


def test_the_responses_end_in_the_network_s_own_answers(digits):
    for widths in ([3], []):
        network = networks.build(network="plain", classes=10, hidden=5, filters=widths).eval()
        found = filters.respond(network, digits.test.images[:20])
        with torch.inference_mode():
            assert np.allclose(found.logits, network(torch.from_numpy(digits.test.images[:20])).numpy(), atol=1e-5)
        assert found.features.shape == (20, 5)


def test_a_patch_beyond_the_edge_is_black():
    image = np.full((28, 28), 9, np.uint8)
    seen = filters.patch(image, Field(5, 1, -2), 0, 27)
    assert (seen[:2] == 0).all()
    assert (seen[:, 3:] == 0).all()
    assert (seen[2:, :3] == 9).all()
    assert filters.patch(image, Field(40, 4, -6), 1, 1).shape == (28, 28)


def test_the_slope_is_where_the_answer_depends_on_the_pixels():
    class Corner(torch.nn.Module):
        """Answers 1 if the upper left corner is bright."""

        def forward(self, images):
            bright = images[:, :6, :6].mean((1, 2))
            return torch.stack([-bright, bright], 1)

    steep = filters.saliency(Corner(), np.full((28, 28), 50, np.uint8), 1)
    assert (steep[:6, :6] > 0).all()
    assert steep.sum() == pytest.approx(steep[:6, :6].sum())
