"""How a model reads sheets of paper, with a model that answers one class."""

import numpy as np
import torch
from torch import nn

from digitline.data.dataset import Dataset
from digitline.measure import photographs, scenes, sheets, unseen


class Always(nn.Module):
    """Gives every image the logits of one class."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label, self.zero = label, nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.zero.repeat(len(images), 10)
        logits[:, self.label] = 20
        return logits


def test_the_shares_are_right_doubted_and_wrong(digits: Dataset) -> None:
    part = photographs.evenly(digits.test, 10)
    label = int(part.labels[0])
    kind = sheets.makers()["pen, squared"]
    found = photographs.shares(Always(label), kind, part, above=0.5, seed=0)
    assert found["right"] == (part.labels == label).mean()
    assert found["doubted"] == 0
    assert found["wrong"] == 1 - found["right"]
    assert photographs.shares(Always(label), kind, part, above=-1, seed=0)["doubted"] == 1


def test_a_page_of_print_is_doubted_also_where_the_model_is_certain() -> None:
    assert photographs.doubts(Always(1), {"print": scenes.print_page}, 3, above=0.5, seed=0) == {"print": 1}


def test_sheets_are_drawn_by_their_seed_alone(digits: Dataset) -> None:
    for make in (*sheets.SPECIAL.values(), sheets.mixed, *unseen.HELD_OUT.values()):
        one, same, other = (np.asarray(make(digits.test.images[0], np.random.default_rng(seed))) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)
