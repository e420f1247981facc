"""Several digits on a picture: the images for the model, and the numbers that follow from its answers."""

from typing import TYPE_CHECKING

import numpy as np

from digitline.data import lines
from digitline.data.dataset import Bytes
from digitline.serving import reading
from service import schema

if TYPE_CHECKING:
    from digitline.serving.runtime import Floats
    from service.champion import Champion


def candidates(data: bytes) -> tuple[lines.Page, Bytes]:
    """The lines of a picture's file and the images of their pieces [N, 28, 28]; InputError if it is blank."""
    page = lines.page(data)
    return page, reading.images(page.lines)


def answer(champion: "Champion", page: lines.Page, probabilities: "Floats") -> schema.Reading:
    """The numbers, from the probabilities of the pieces [N, classes]; counts their digits as answers."""
    found = reading.numbers(page.lines, probabilities, champion.doubt_above)
    digits = [digit for number in found for digit in number.digits]
    champion.count(np.stack([digit.probabilities for digit in digits]), np.array([digit.doubtful for digit in digits]))
    numbers = [number_of(champion, page, number) for number in found]
    return schema.Reading(
        model=champion.sha256, classes=champion.classes, width=page.width, height=page.height, numbers=numbers
    )


def number_of(champion: "Champion", page: lines.Page, number: reading.Number) -> schema.Number:
    digits = [
        schema.Digit(
            box=box(page.whole(digit.box)),
            label=champion.classes[int(digit.probabilities.argmax())],
            probabilities=digit.probabilities.tolist(),
            doubtful=digit.doubtful,
        )
        for digit in number.digits
    ]
    between = "" if all(len(name) == 1 for name in champion.classes) else " "
    text = between.join("?" if digit.doubtful else digit.label for digit in digits)
    return schema.Number(line=number.line, text=text, doubtful=any(digit.doubtful for digit in digits), digits=digits)


def box(found: lines.Box) -> schema.Box:
    return schema.Box(left=found.left, top=found.top, width=found.width, height=found.height)
