"""Where in an image the evidence for an answer lies; for any runtime, because it needs only a model's logits."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from digitline.data.dataset import Bytes

Floats = NDArray[np.float32]

GRID = 14  # steps of the square that covers part of the image, along the longer side
COVER = 3  # steps that its side has


def evidence(logits: Callable[[Bytes], Floats], image: Bytes, answer: int) -> Floats:
    """How much each part of an image contributes to the answer's log-odds: [14, 14] for an image [28, 28].

    It is the loss from covering that part (Zeiler & Fergus, 2014), in black or in a colour image's mean colour; a
    negative value is evidence against the answer.
    """
    step = stride(image)
    rows, columns = (range(0, side, step) for side in image.shape[:2])
    places = [(row, column) for row in rows for column in columns]
    covered = np.repeat(image[None], len(places) + 1, 0)  # the last one stays uncovered
    margin, side = step * (COVER - 1) // 2, step * COVER
    fill = 0 if image.ndim == 2 else np.rint(image.mean((0, 1)))
    for each, (row, column) in zip(covered[:-1], places, strict=True):
        each[max(row - margin, 0) : row - margin + side, max(column - margin, 0) : column - margin + side] = fill
    changed = (covered[:-1] != image).reshape(len(places), -1).any(1)
    scores = odds(logits(covered[np.append(changed, True)]), answer)
    found = np.zeros(len(places), np.float32)
    found[changed] = scores[-1] - scores[:-1]
    return found.reshape(len(rows), len(columns))


def odds(logits: Floats, answer: int) -> Floats:
    """The log-odds of one answer in each row of logits [N, classes]."""
    others = np.delete(logits, answer, 1)
    most = others.max(1)
    found: Floats = logits[:, answer] - most - np.log(np.exp(others - most[:, None]).sum(1))
    return found


def stride(image: Bytes) -> int:
    """The pixels between two places of the square that covers part of an image."""
    height, width = map(int, image.shape[:2])
    return math.ceil(max(height, width) / GRID)
