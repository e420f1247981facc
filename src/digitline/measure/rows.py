"""The types of the leaderboard's file."""

from typing import Literal, NotRequired, TypedDict

Kind = Literal["variant", "vote"]
Measure = Literal["accuracy", "balanced_accuracy", "macro_f1", "nll"]  # of validation, which ranks


class Summary(TypedDict):
    """A measure over the runs of a row."""

    mean: float
    sd: float | None
    ci95: list[float] | None  # Student's, over seeds


class Spread(Summary):
    images95: list[float]  # over images: Wilson's, or by resampling within classes


class ClassLine(TypedDict):
    """The measures of a class; None where it has no images, and for the precision where it is never predicted."""

    name: str
    images: int
    recall: float | None
    recall95: list[float] | None  # Wilson's, over images
    precision: float | None
    precision95: list[float] | None
    f1: float | None


class Confusion(TypedDict):
    """Images of one class that were given to another."""

    actual: str
    predicted: str
    count: float  # mean over runs
    share: float  # of the class's images


class Run(TypedDict):
    """The measures of one model."""

    seed: int
    sha256: str
    onnx_sha256: NotRequired[str]  # of the exported file; models of an earlier version of digitline have none
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
    outliers_doubted: NotRequired[float]  # the share of drawn images of no class, where the data set has such
    doubted_by_kind: NotRequired[dict[str, float]]
    val_balanced_accuracy: NotRequired[float]  # these are missing where an earlier version measured
    val_macro_precision: NotRequired[float]
    val_macro_f1: NotRequired[float]
    val_right: NotRequired[list[int]]  # by class
    val_predicted: NotRequired[list[int]]
    test_balanced_accuracy: NotRequired[float]
    test_macro_precision: NotRequired[float]
    test_macro_f1: NotRequired[float]
    test_right: NotRequired[list[int]]
    test_predicted: NotRequired[list[int]]


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
    test_accuracy: Spread
    val_nll: float
    test_nll: float
    test_ece: float
    temperature: float
    test_nll_scaled: float
    test_ece_scaled: float
    test_corrupted: float
    outliers_doubted: NotRequired[float]  # as in its runs
    doubted_by_kind: NotRequired[dict[str, float]]
    runs: list[Run]
    val_balanced_accuracy: NotRequired[Spread]
    val_macro_precision: NotRequired[Spread]
    val_macro_f1: NotRequired[Spread]
    val_classes: NotRequired[list[ClassLine]]
    val_confusions: NotRequired[list[Confusion]]  # the most frequent ones
    test_balanced_accuracy: NotRequired[Spread]
    test_macro_precision: NotRequired[Spread]
    test_macro_f1: NotRequired[Spread]
    test_classes: NotRequired[list[ClassLine]]
    test_confusions: NotRequired[list[Confusion]]
    group: NotRequired[str]  # letters: rows that share one do not differ significantly
    front: NotRequired[bool]  # whether it is on the Pareto front
