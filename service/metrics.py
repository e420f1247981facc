"""What is counted besides BentoML's requests and durations, for /metrics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

SURE = [0.5, 0.9, 0.99]  # where the probability of an answer is cut into classes

ANSWERS = Counter("digitline_answers", "Images recognised, by answer and its probability.", ["digit", "probability"])
DOUBTS = Counter("digitline_doubts", "Images of which it is doubtful that they show a digit.")
IMAGES = Histogram("digitline_images", "Images of one request.", buckets=[1, 4, 16, 64, 256, 1024, 4096])


def count(classes: Sequence[str], probabilities: NDArray[np.float32], doubtful: NDArray[np.bool_]) -> None:
    """Counts the answers to one request, from the probabilities [N, classes]."""
    IMAGES.observe(len(probabilities))
    DOUBTS.inc(int(doubtful.sum()))
    digits, sure = probabilities.argmax(1), np.searchsorted(SURE, probabilities.max(1), side="right")
    pairs, counts = np.unique(np.stack([digits, sure]), axis=1, return_counts=True)
    for (digit, place), many in zip(pairs.T, counts, strict=True):
        ANSWERS.labels(classes[digit], name(place)).inc(int(many))


def name(place: int) -> str:
    """A class of probabilities, in words: below 0.5, below 0.9, below 0.99 or above."""
    return f"below {SURE[place]}" if place < len(SURE) else f"{SURE[-1]} and above"
