"""Checks a data set before training: a table of per-image features against expectations."""

import hashlib
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from digitline.base.errors import InputError
from digitline.data.dataset import Bytes, Dataset, Part, chunks
from digitline.data.entry import Fraction, Range, Shape

if TYPE_CHECKING:  # half a second each to import, which stages that only read the bounds should not pay
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

Severity = Literal["critical", "warning"]

# The fraction of images that must lie within a declared bound: many outside stop the pipeline, few are a warning.
SHARES: dict[Severity, float] = {"critical": 0.99, "warning": 1.0}

NAMES = {  # of the features in the rules
    "label": "label",
    "class_share": "share of the image's class in its split",
    "height": "height in pixels",
    "width": "width in pixels",
    "darkest": "darkest pixel",
    "brightest": "brightest pixel",
    "contrast": "contrast (0 in an empty image)",
    "saturated": "share of pixels at 255 (1 in a saturated image)",
    "mean": "mean of the pixels",
    "std": "standard deviation of the pixels",
    "red": "mean of red",
    "green": "mean of green",
    "blue": "mean of blue",
    "ink": "share of pixels with ink",
    "box": "longer side of the ink's bounding box",
    "centre_row": "row of the ink's centre of mass",
    "centre_column": "column of the ink's centre of mass",
    "training_copies": "copies among the training images",
}
# The key of bounds for each feature that has another name than its key, or none: no key allows other shapes.
BOUND = {"centre_row": "centre", "centre_column": "centre", "training_copies": "leakage", "height": "", "width": ""}


GREY, COLOUR = ("ink", "box", "centre_row"), ("red", "green", "blue")  # features of grey and of colour images alone


class Rule(NamedTuple):
    name: str
    severity: Severity
    expected: str
    kind: str  # the class in great_expectations.expectations
    options: dict[str, Any]  # its arguments
    split: str | None = None  # None for both
    bound: str = ""  # the key of params.yaml, below bounds, that sets what is expected


class Finding(NamedTuple):
    name: str
    severity: Severity
    success: bool
    observed: str
    expected: str
    rows: list[int]  # of the table: the first images that break the rule
    bound: str  # the rule's


class Outcome(NamedTuple):
    findings: list[Finding]  # in the rules' order
    result: "ExpectationSuiteValidationResult"  # the same, in Great Expectations' own form


def features(dataset: Dataset) -> "pd.DataFrame":
    """The table: one row per image, training images first; lengths in pixels, brightness from 0 to 255."""
    import pandas as pd

    table = pd.concat([measured(part).assign(split=split) for split, part in dataset._asdict().items()])
    copies = table["sha256"][table["split"] == "train"].value_counts()
    table["training_copies"] = table["sha256"].map(copies).fillna(0).astype(int)
    return table.reset_index(drop=True)


def measured(part: Part) -> "pd.DataFrame":
    """The features of each image, computed in chunks."""
    import pandas as pd

    labels = part.labels
    first = {"label": labels, "class_share": (np.bincount(labels) / max(1, len(labels)))[labels]}
    found = [pd.DataFrame(of(images)) for images in chunks(part.images)]
    return pd.concat([pd.DataFrame(first), pd.concat(found, ignore_index=True)], axis=1)


def of(images: Bytes) -> dict[str, Any]:
    """The features of images [N, H, W] or [N, H, W, 3], without those of their classes."""
    count, height, width = images.shape[:3]
    pixels = images.reshape(count, -1)
    darkest, brightest = pixels.min(1), pixels.max(1)
    return {
        "height": np.full(count, height),
        "width": np.full(count, width),
        "darkest": darkest,
        "brightest": brightest,
        "contrast": brightest - darkest,
        "mean": pixels.mean(1),
        "std": pixels.std(1),
        "saturated": (pixels == 255).mean(1),
        **(of_ink(images) if images.ndim == 3 else of_colour(images)),
        "sha256": [hashlib.sha256(image).hexdigest() for image in np.ascontiguousarray(images)],
    }


def of_ink(images: Bytes) -> dict[str, Any]:
    """The features of grey images [N, H, W]. A blank image has a box of size 0 and no centre of mass."""
    inked = images > 0
    rows, columns = images.sum(2, dtype=np.int64), images.sum(1, dtype=np.int64)  # (N, H, W) -> (N, H), (N, W)
    weight = np.where(inked.any((1, 2)), rows.sum(1), np.nan)
    return {
        "ink": inked.mean((1, 2)),
        "box": np.maximum(extent(rows > 0), extent(columns > 0)),
        "centre_row": rows @ np.arange(images.shape[1]) / weight,
        "centre_column": columns @ np.arange(images.shape[2]) / weight,
    }


def of_colour(images: Bytes) -> dict[str, Any]:
    """The means of the three channels of images [N, H, W, 3]."""
    return dict(zip(("red", "green", "blue"), images.mean((1, 2)).T, strict=True))


def extent(marks: NDArray[np.bool_]) -> NDArray[np.integer]:
    """The length from the first to the last True in each row [N, L], inclusive; 0 if there is none."""
    length = marks.shape[1]
    return np.where(marks.any(1), length - marks[:, ::-1].argmax(1) - marks.argmax(1), 0)


def rules(
    *,
    classes: list[str],
    image: Shape,
    images: dict[Literal["train", "test"], PositiveInt] | None = None,
    class_share: Range | None = None,
    darkest: Range | None = None,
    brightest: Range | None = None,
    contrast: Range | None = None,
    mean: Range | None = None,
    std: Range | None = None,
    red: Range | None = None,
    green: Range | None = None,
    blue: Range | None = None,
    ink: Range | None = None,
    saturated: Range | None = None,
    box: Range | None = None,
    centre: Range | None = None,
    duplicates: Fraction = 0.0,
    leakage: Fraction = 0.0,
) -> list[Rule]:
    """The rules for a data set: those for every data set, and the bounds that it declares for its features.

    `images` is the number in each split, `duplicates` the fraction of images that may repeat within their split,
    `leakage` the fraction of test images that may also be training images.
    """
    even = 1 / len(classes)
    bounds = {"class_share": class_share, "darkest": darkest, "brightest": brightest, "contrast": contrast or [1, 255]}
    bounds |= {"saturated": saturated or [0, 0.5], "mean": mean, "std": std, "red": red, "green": green, "blue": blue}
    bounds |= {"ink": ink, "box": box, "centre_row": centre, "centre_column": centre}
    applicable(bounds, image)
    return [
        *(counted(split, number) for split, number in (images or {}).items()),
        within("height", [image.height] * 2),
        within("width", [image.width] * 2),
        known("ExpectColumnValuesToBeInSet", len(classes)),
        *(known("ExpectColumnDistinctValuesToContainSet", len(classes), split) for split in Dataset._fields),
        *([] if class_share else [within("class_share", [even / 2, even * 2], "warning")]),
        *(
            within(column, limits, severity, most=most)
            for column, limits in bounds.items()
            if limits
            for severity, most in SHARES.items()
        ),
        *(unrepeated(split, duplicates) for split in Dataset._fields),
        within("training_copies", [0, 0], most=1 - leakage, split="test"),
    ]


def applicable(bounds: dict[str, Any], image: Shape) -> None:
    """InputError if a bound is of a feature that images with these channels do not have."""
    kind, absent = ("colour", GREY) if image.channels == 3 else ("grey", COLOUR)
    for name in absent:
        if bounds[name]:
            raise InputError(f"bounds.{BOUND.get(name, name)} is given, but {kind} images have no such feature")


def within(
    column: str, bounds: list[float], severity: Severity = "critical", *, most: float = 1.0, split: str | None = None
) -> Rule:
    """The rule that a feature lies within bounds in at least that fraction of the images."""
    low, high = bounds
    if low > high:
        raise InputError(f"the bounds of {column} are {low:g} and {high:g}, expected the lower one first")
    options = {"column": column, "min_value": low, "max_value": high, "mostly": most}
    expected, kind = f"{span(low, high)} in {share(most)}", "ExpectColumnValuesToBeBetween"
    return Rule(NAMES[column], severity, expected, kind, options, split, BOUND.get(column, column))


def counted(split: str, number: int) -> Rule:
    """The rule that a split has that many images."""
    return Rule("images", "critical", f"{number}", "ExpectTableRowCountToEqual", {"value": number}, split, "images")


def known(kind: str, classes: int, split: str | None = None) -> Rule:
    """The rule that the labels are class numbers, or that every class number occurs, depending on kind."""
    options = {"column": "label", "value_set": list(range(classes))}
    expected = f"{'each of ' if split else ''}0 to {classes - 1}"
    return Rule(NAMES["label"], "critical", expected, kind, options, split)


def unrepeated(split: str, duplicates: float) -> Rule:
    """The rule that the images of a split are unique, except for a fraction of them."""
    options = {"column": "sha256", "mostly": 1 - duplicates}
    expected, kind = f"unique in {share(1 - duplicates)}", "ExpectColumnValuesToBeUnique"
    return Rule("pixels", "warning", expected, kind, options, split, "duplicates")


def span(low: float, high: float) -> str:
    """A range in words."""
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def share(fraction: float) -> str:
    """A fraction of images in words."""
    return "all images" if fraction == 1 else f"{fraction * 100:g} % of images"


def validate(table: "pd.DataFrame", held: list[Rule], *, rows: int = 20) -> Outcome:
    """Checks the table with Great Expectations; each finding names up to `rows` images that break its rule."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # disables telemetry; read at import
    import great_expectations as gx
    from great_expectations import expectations as gxe
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.expectations.row_conditions import Column

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    images = context.data_sources.add_pandas("digitline").add_dataframe_asset("images")
    batch = images.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    suite = gx.ExpectationSuite("images")
    for number, rule in enumerate(held):
        options = {**rule.options, "row_condition": Column("split") == rule.split} if rule.split else rule.options
        kind = getattr(gxe, rule.kind)
        suite.add_expectation(
            kind(**options, severity=rule.severity, description=sentence(rule), meta={"rule": number})
        )
    result = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": rows})
    results: Any = result.results
    results.sort(key=lambda one: one.expectation_config.meta["rule"])
    return Outcome([finding(rule, one, table) for rule, one in zip(held, results, strict=True)], result)


def sentence(rule: Rule) -> str:
    """A rule in words."""
    return f"{title(rule)}: {rule.expected} [{rule.severity}]"


def title(rule: Rule) -> str:
    """The name of a rule, preceded by its split if it has one."""
    return f"{rule.split}: {rule.name}" if rule.split else rule.name


def finding(rule: Rule, one: "ExpectationValidationResult", table: "pd.DataFrame") -> Finding:
    """The finding for one rule."""
    if one.exception_info["raised_exception"]:
        raise RuntimeError(f"{title(rule)}: {one.exception_info['exception_message']}")
    result: Any = one.to_json_dict()["result"]
    if "element_count" in result:
        subject = table[table["split"] == rule.split] if rule.split else table
        observed = values(subject[rule.options["column"]], result)
    elif "value_set" in rule.options:
        missing = ", ".join(map(str, result["partial_missing_list"]))
        observed = f"not {missing}" if missing else "all of them"
    else:
        observed = str(result["observed_value"])
    rows = result.get("partial_unexpected_index_list") or []
    return Finding(title(rule), rule.severity, bool(one.success), observed, rule.expected, rows, rule.bound)


def values(column: "pd.Series[Any]", result: dict[str, Any]) -> str:
    """A column in words: its range, and how many images are not as expected."""
    wrong, total = result["unexpected_count"], result["element_count"]
    where = f"{wrong} of {total} images not as expected" if wrong else f"all {total} images as expected"
    if column.dtype.kind not in "biuf":
        return where
    return f"{span(column.min(), column.max())}, {where}"
