import numpy as np
import pytest
import torch

from digitline.explain import activations, filters, learned, mistakes
from digitline.model import networks


def look(digits, kept: dict, **network) -> learned.Look:
    torch.manual_seed(0)
    model = networks.build(classes=10, **network).eval()
    test = digits.test._replace(images=digits.test.images[:100], labels=digits.test.labels[:100])

    def keep(name, picture, header, lines):
        kept[name] = picture, header, lines

    classes = [str(digit) for digit in range(10)]
    return learned.Look(model, test, classes, filters.respond(model, test.images), keep)


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ({"network": "plain", "filters": [3, 4], "hidden": 5}, ["Sigmoid 1", "Sigmoid 2"]),
        ({"network": "plain", "filters": [3], "hidden": 5, "pooling": False}, ["Sigmoid 1"]),
        ({"network": "modern", "widths": [3, 4, 5, 6]}, [f"ReLU {number}" for number in range(1, 6)]),
        ({"network": "plain", "filters": [], "hidden": 5}, []),
    ],
)
def test_the_maps_shown_are_those_after_each_convolution(digits, network, names):
    kept: dict = {}
    assert [each["layer"] for each in learned.mapped(look(digits, kept, **network))] == names
    assert list(kept) == [f"maps-{number + 1}" for number in range(len(names))]


def test_a_map_s_numbers_are_the_layer_s_output(digits):
    kept: dict = {}
    seen = look(digits, kept, network="plain", filters=[3], hidden=5)
    learned.mapped(seen)
    _, header, lines = kept["maps-1"]
    channel, name, index, *values = lines[7]
    assert (header[:3], len(values)) == (["channel", "class", "test_image"], 12 * 12)
    assert seen.test.labels[index] == int(name)
    layer = next(one for one in activations.layers(seen.model, seen.test.images[index]) if one.name == "Sigmoid 1")
    assert np.allclose(np.array(values, float), layer.maps[channel].ravel(), rtol=0.01)


def test_the_patches_named_are_the_strongest_first(digits):
    kept: dict = {}
    learned.excited(look(digits, kept, network="plain", filters=[3], hidden=5))
    responses = [float(line[-1]) for line in kept["exciting-1"][2] if line[0] == 1]
    assert len(responses) == learned.PATCHES
    assert responses == sorted(responses, reverse=True)
    assert len(kept["weights-1"][2]) == 3


def test_the_confusions_are_counted_and_each_is_beside_a_digit_of_the_predicted_class(digits):
    kept: dict = {}
    seen = look(digits, kept, network="plain", filters=[3], hidden=5)
    predicted = seen.responses.logits.argmax(1)
    for each in mistakes.confused(seen):
        actual, guess = int(each["actual"]), int(each["predicted"])
        assert each["count"] == ((seen.test.labels == actual) & (predicted == guess)).sum()
        assert (seen.test.labels[each["test_image"]], predicted[each["test_image"]]) == (actual, guess)
        assert seen.test.labels[each["like"]] == predicted[each["like"]] == guess


def test_right_answers_precede_wrong_ones_without_repetition(digits):
    kept: dict = {}
    found = mistakes.explained(look(digits, kept, network="plain", filters=[3], hidden=5))
    images = [one["test_image"] for one in found]
    assert len(set(images)) == len(images)
    wrong = ["→" in one["head"] for one in found]
    assert wrong == sorted(wrong)
    assert sum(wrong) == mistakes.EACH


@pytest.mark.parametrize(
    "network",
    [
        {"network": "residual", "widths": [4, 6]},
        {"network": "plain", "filters": [4], "hidden": 6},
        {"network": "plain", "filters": []},
    ],
)
def test_colour_pictures_are_explained_at_their_own_size(photos, network):
    torch.manual_seed(0)
    model = networks.build(**network, classes=3, image={"height": 20, "width": 24, "channels": 3}).eval()
    kept: dict = {}

    def keep(name, picture, header, lines):
        kept[name] = picture, header, lines

    seen = learned.Look(model, photos.test, ["red", "green", "blue"], filters.respond(model, photos.test.images), keep)
    learned.excited(seen)
    learned.mapped(seen)
    mistakes.explained(seen)
    mistakes.confused(seen)
    mistakes.uncertain(seen)
    assert {"weights-1", "exciting-1", "evidence", "answers"} <= set(kept)
    assert activations.evidence(model, photos.test.images[0], 1).shape == (10, 12)
    assert len(kept["evidence"][1]) == 4 + 20 * 24
    assert activations.layers(model, photos.test.images[0])[0].maps.shape == (3, 20, 24)
