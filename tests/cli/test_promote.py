from typing import Any, cast

from digitline.cli import promote
from digitline.config import params


def test_a_card_names_the_preparation_of_pictures_unless_it_is_mnist_s() -> None:
    row: Any = {"variant": "fc", "parameters": 1, "macs": 1}
    run: Any = {"seed": 1, "sha256": "a"}
    own, data = params.read(), {"dataset": "flowers", "sha256": "b"}
    other = own._replace(preparation="crop")
    cards = [cast("dict[str, Any]", promote.card(each, row, run, data)) for each in (own, other)]
    assert cards[1] == {**cards[0], "preparation": "crop"}
    assert "preparation" not in cards[0]
