"""The division of a line into digits."""

import numpy as np
import pytest

from digitline.data.lines import Box, Line, Piece
from digitline.serving import reading

BLANK = np.zeros((28, 28), np.uint8)


def piece(begin: int, end: int, left: int, right: int, *, cut: bool = False) -> Piece:
    return Piece(begin, end, Box(left, 0, right, 20), BLANK, cut, False, 1.0 if cut else 0.0, -7.5)


def answers(*labels: tuple[int, float]) -> np.ndarray:
    """For each label and probability, an answer that gives the rest to all other classes alike."""
    rows = np.array([[(1 - share) / 9] * 10 for _, share in labels], np.float32)
    for row, (label, share) in zip(rows, labels, strict=True):
        row[label] = share
    return rows


def read(line: Line, *labels: tuple[int, float]) -> list[tuple[int, bool]]:
    [number] = reading.numbers([line], answers(*labels), doubt_above=1.0)
    return [(int(digit.probabilities.argmax()), digit.doubtful) for digit in number.digits]


TWO = Line(20, 2, [piece(0, 1, 0, 10, cut=True), piece(1, 2, 10, 20, cut=True), piece(0, 2, 0, 20)])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([(1, 0.5), (7, 0.6), (4, 0.99)], [(4, False)]),  # the whole is a digit, its halves are none
        ([(1, 0.99), (7, 0.99), (4, 0.2)], [(1, False), (7, False)]),
        ([(1, 0.99), (7, 0.99), (4, 0.88)], [(4, True)]),  # both
        ([(1, 0.3), (7, 0.3), (4, 0.3)], [(4, True)]),  # neither
    ],
)
def test_a_division_that_another_one_rivals_is_doubted(
    labels: list[tuple[int, float]], expected: list[tuple[int, bool]]
) -> None:
    assert read(TWO, *labels) == expected


def test_only_the_digits_that_rivals_do_not_share_are_doubted() -> None:
    line = Line(20, 3, [*TWO.pieces, piece(2, 3, 25, 35)])
    assert read(line, (1, 0.99), (7, 0.99), (4, 0.88), (3, 0.99)) == [(4, True), (3, False)]


def test_cuts_at_other_places_with_the_same_digits_raise_no_doubt() -> None:
    first = [piece(0, 1, 0, 10, cut=True), piece(1, 3, 10, 20, cut=True)]
    line = Line(20, 3, [*first, piece(0, 2, 0, 11, cut=True), piece(2, 3, 11, 20, cut=True)])
    assert read(line, *[(1, 0.99), (7, 0.99)] * 2) == [(1, False), (7, False)]


def test_a_wide_gap_separates_numbers() -> None:
    line = Line(20, 3, [piece(0, 1, 0, 10), piece(1, 2, 20, 30), piece(2, 3, 70, 80)])
    found = reading.numbers([line, line], answers(*[(1, 0.99)] * 6), doubt_above=1.0)
    assert [(number.line, len(number.digits)) for number in found] == [(0, 2), (0, 1), (1, 2), (1, 1)]
