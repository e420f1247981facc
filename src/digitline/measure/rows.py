"""The types of the leaderboard's file."""

from typing import Literal, NotRequired, TypedDict

Kind = Literal["variant", "vote"]


class Summary(TypedDict):
    """A measure over the runs of a row."""

    mean: float
    sd: float | None
    ci95: list[float] | None  # Student's, over seeds


class OnTest(Summary):
    images95: list[float]  # Wilson's, over images


class Run(TypedDict):
    """The measures of one model."""

    seed: int
    sha256: str
    members: NotRequired[list[int]]  # the seeds of a vote
    val_accuracy: float
    val_nll: float
    val_ece: float
    test_accuracy: float
    test_nll: float
    test_ece: float
    temperature: float
    test_nll_scaled: float
    test_ece_scaled: float
    test_corrupted: float
    doubt_above: float
    test_doubted: float


class Row(TypedDict):
    """A variant, or the vote of its seeds; the optional keys are added when all rows are compared."""

    variant: str
    kind: NotRequired[Kind]
    parent: NotRequired[str | None]  # of a vote, the variant that votes; of a variant, the one it is compared with
    parameters: int
    macs: int
    bytes: int
    seeds: list[int]
    val_accuracy: Summary
    test_accuracy: OnTest
    val_nll: float
    test_nll: float
    test_ece: float
    temperature: float
    test_nll_scaled: float
    test_ece_scaled: float
    test_corrupted: float
    runs: list[Run]
    group: NotRequired[str]  # letters: rows that share one do not differ significantly
    front: NotRequired[bool]  # whether it is on the Pareto front
