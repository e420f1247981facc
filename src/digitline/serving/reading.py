"""Reads numbers: chooses, in each line of a picture, the division into digits of which the model is most certain."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from digitline.data.dataset import Bytes
from digitline.data.lines import Box, Line
from digitline.measure import uncertainty
from digitline.serving.runtime import Floats

# The log-odds that a candidate is no single digit, to which its strokes add.
ENTROPY = 6.6  # of an answer that is just doubtful
COST, TAKEN = 2.0, 2.0  # a candidate costs COST * log(1 + exp(log-odds + TAKEN)), in nats,
DOUBT, CERTAIN = 2.0, 0.4  # and DOUBT for each of its entropy, as a part of the doubtful one, beyond CERTAIN
CUT = 0.32  # of the doubtful entropy; with more, a digit that had to be cut out is doubtful
UNSURE = -0.5  # log-odds; with more, the digit is doubtful
MARGIN, MARGIN_CUT = 1.5, 2.0  # nats; a digit that a division as little more costly has not is doubtful
KEPT = 6  # divisions with different digits
APART = 1.3  # of the digits' height; a wider gap separates two numbers of a line


class Digit(NamedTuple):
    box: Box
    probabilities: Floats  # [classes]
    doubtful: bool


class Number(NamedTuple):
    line: int  # from 0, from top to bottom
    digits: list[Digit]  # from left to right


class Division(NamedTuple):
    """A way to divide the first strokes of a line into digits."""

    cost: float
    chosen: tuple[int, ...]  # of the line's pieces
    labels: tuple[int, ...]


def images(lines: Sequence[Line]) -> Bytes:
    """The images of all pieces: [N, 28, 28]."""
    return np.stack([piece.image for line in lines for piece in line.pieces])


def numbers(lines: Sequence[Line], probabilities: Floats, doubt_above: float) -> list[Number]:
    """The numbers of all lines, from the probabilities of their pieces [N, classes]."""
    found, at = [], 0
    for place, line in enumerate(lines):
        answers = probabilities[at : at + len(line.pieces)]
        at += len(line.pieces)
        digits = divided(line, answers, doubt_above)
        found += [Number(place, number) for number in separated(digits, APART * line.height)]
    return found


def divided(line: Line, probabilities: Floats, doubt_above: float) -> list[Digit]:
    """The digits of the cheapest division; those that a division almost as cheap has not are doubtful."""
    entropies, labels = uncertainty.entropy(probabilities) / doubt_above, probabilities.argmax(1)
    odds = ENTROPY * entropies + [piece.several for piece in line.pieces]
    costs = COST * np.logaddexp(0, odds + TAKEN) + DOUBT * np.maximum(0, entropies - CERTAIN)
    costs += [piece.cost for piece in line.pieces]
    best, *others = divisions(line, costs.tolist(), labels.tolist())
    digits = []
    for at, label in zip(best.chosen, best.labels, strict=True):
        piece = line.pieces[at]
        rivals = [each for each in others if each.cost < best.cost + (MARGIN_CUT if piece.cut else MARGIN)]
        agreed = all((at, label) in zip(each.chosen, each.labels, strict=True) for each in rivals)
        certain = entropies[at] <= (CUT if piece.cut else 1) and odds[at] <= UNSURE and not piece.low
        digits.append(Digit(piece.box, probabilities[at], not (certain and agreed)))
    return digits


def divisions(line: Line, costs: Sequence[float], labels: Sequence[int]) -> list[Division]:
    """The cheapest divisions of a line with different digits, the cheapest first."""
    best: list[list[Division]] = [[Division(0, (), ())], *([] for _ in range(line.places))]
    for place in range(1, line.places + 1):
        found = [
            Division(before.cost + costs[at], (*before.chosen, at), (*before.labels, labels[at]))
            for at, piece in enumerate(line.pieces)
            if piece.end == place
            for before in best[piece.begin]
        ]
        different = {each.labels: each for each in sorted(found, key=lambda each: -each.cost)}  # keeps the cheapest
        best[place] = sorted(different.values(), key=lambda each: each.cost)[:KEPT]
    return best[-1]


def separated(digits: Sequence[Digit], gap: float) -> Iterator[list[Digit]]:
    """The digits of each number."""
    number: list[Digit] = []
    for digit in digits:
        if number and digit.box.left - number[-1].box.right > gap:
            yield number
            number = []
        number.append(digit)
    if number:
        yield number
