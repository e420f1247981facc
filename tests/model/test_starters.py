import pytest

from digitline.data.entry import Shape
from digitline.model import networks, recipe, starters


@pytest.mark.parametrize(
    ("image", "names"),
    [
        (Shape(28, 28, 1), {"plain", "modern"}),
        (Shape(64, 64, 3), {"plain", "modern"}),
        (Shape(48, 200, 3), {"plain", "modern"}),
        (Shape(8, 8, 3), {"plain", "modern"}),
        (Shape(4, 300, 1), {"plain", "modern"}),
        (Shape(1, 30, 3), {"plain"}),
        (Shape(1, 1, 1), {"plain"}),
    ],
)
def test_each_starter_can_be_built_and_takes_such_images(image: Shape, names: set[str]) -> None:
    found = starters.variants(image, 500)
    assert set(found) == names
    for one in found.values():
        model = networks.build(classes=3, image=image._asdict(), **one["model"]).eval()
        assert model(networks.blanks(model, 2)).shape == (2, 3)
        assert set(one) <= {"model", *recipe.Recipe._fields}


def test_a_larger_image_gives_plain_more_layers_and_not_many_more_weights() -> None:
    for image in (Shape(64, 64, 3), Shape(224, 224, 3)):
        [(_, plain), _] = starters.variants(image, 500).items()
        model = networks.build(classes=10, image=image._asdict(), **plain["model"])
        assert sum(weight.numel() for weight in model.parameters()) < 2_000_000


@pytest.mark.parametrize(("images", "epochs"), [(50, 60), (10_000, 15), (1_000_000, 8)])
def test_fewer_images_are_seen_more_often(images: int, epochs: int) -> None:
    assert starters.variants(Shape(), images)["modern"]["epochs"] == epochs
