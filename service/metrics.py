"""The metrics for Prometheus."""

import os
from collections import Counter as Counts
from collections.abc import Sequence

import numpy as np
import prometheus_client
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

SURE = [0.5, 0.9, 0.99]  # boundaries of the classes of an answer's probability
SIZES = [1, 4, 16, 64, 256, 1024, 4096]
SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

REQUESTS = Counter("digitline_requests", "Requests answered, by route and status.", ["route", "status"])
DURATIONS = Histogram(
    "digitline_request_seconds", "Time from a request's headers to its answer.", ["route"], buckets=SECONDS
)
SHED = Counter("digitline_shed", "Requests refused because the service was at capacity.")
WAITING = Gauge("digitline_waiting", "Requests being processed or waiting.", multiprocess_mode="livesum")
IMAGES = Histogram("digitline_images", "Images per request.", buckets=SIZES)
BATCHES = Histogram("digitline_batch", "Images per batch of the model.", buckets=SIZES)
# The label digit says the same as label, for dashboards made before there were other data sets.
ANSWERS = Counter(
    "digitline_answers", "Images recognised, by answer and probability.", ["label", "digit", "probability"]
)
CONFIDENCE = Counter("digitline_confidence", "Sum of the answers' probabilities.")
DOUBTS = Counter("digitline_doubts", "Images that may show none of the classes.")
MODEL = Gauge("digitline_model", "1 for the model in use.", ["sha256", "variant"], multiprocess_mode="livemax")


def count(classes: Sequence[str], probabilities: NDArray[np.float32], doubtful: NDArray[np.bool_]) -> None:
    """Counts answers, from probabilities [N, classes]."""
    DOUBTS.inc(int(doubtful.sum()))
    highest = probabilities.max(1)
    CONFIDENCE.inc(float(highest.sum()))
    places, sure = probabilities.argmax(1).tolist(), np.searchsorted(SURE, highest, side="right").tolist()
    for (place, band), many in Counts(zip(places, sure, strict=True)).items():
        ANSWERS.labels(classes[place], classes[place], name(band)).inc(many)


def name(place: int) -> str:
    """The name of a class of probabilities: below 0.5, below 0.9, below 0.99 or above."""
    return f"below {SURE[place]}" if place < len(SURE) else f"{SURE[-1]} and above"


def serve(sha256: str, variant: str) -> None:
    """Records which model answers from now on."""
    for each in MODEL.collect():
        for sample in each.samples:
            MODEL.labels(**sample.labels).set(0)
    MODEL.labels(sha256, variant).set(1)


def text() -> bytes:
    """All metrics in Prometheus's format, of this process or of all workers that share BentoML's folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus_client.generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return prometheus_client.generate_latest(registry)
