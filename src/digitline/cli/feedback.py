"""digitline feedback: checks the collected corrections against the expectations and saves those that pass."""

import os
import sys
from pathlib import Path

import numpy as np

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import corrections, dataset, retraining
from digitline.data.corrections import Correction
from digitline.draw import charts, results
from digitline.measure import leaderboard

SHEET = Path("reports/feedback.png")
HEAD = ["image", "shows", "answer", "doubted", "trained with"]


def feedback(params: Params) -> None:
    """Prints the corrections as a table and draws them; on stdout the SHA-256 of those that can be trained with."""
    folder = Path(os.environ.get("DIGITLINE_FEEDBACK", "data/feedback"))
    kept = corrections.read(folder, params.classes)
    if not kept:
        raise InputError(f"{folder} has no corrections; to collect some, run DIGITLINE_FEEDBACK={folder} make serve")
    labelled = [one for one in kept if one.label]
    data = dataset.load(paths.DATASET)
    reasons = retraining.reasons(
        retraining.part(labelled, params.classes, params.image), data, classes=params.classes, **params.bounds
    )
    fit = [one for one, why in zip(labelled, reasons, strict=True) if not why]
    why_not = {corrections.identity(one.image): "; ".join(why) for one, why in zip(labelled, reasons, strict=True)}
    lines = [line(one, why_not.get(corrections.identity(one.image))) for one in kept]
    print(leaderboard.markdown([HEAD, ["---"] * len(HEAD), *lines]), file=sys.stderr)
    files.write(SHEET, sheet(kept))
    if not fit:
        raise InputError(f"none of the {len(kept)} corrections can be used for training; the table above says why")
    retraining.save(retraining.part(fit, params.classes, params.image), paths.FEEDBACK)
    print(f"saved {len(fit)} of {len(kept)} corrections in {paths.FEEDBACK}, all drawn in {SHEET}", file=sys.stderr)
    print(digest(paths.FEEDBACK))


def line(one: Correction, why: str | None) -> list[str]:
    """A correction as a line of the table; `why` is None if it shows none of the classes."""
    fate = "no: shows none of the classes" if why is None else f"no: {why}" if why else "yes"
    return [
        corrections.identity(one.image)[:8],
        one.label or "none",
        one.answer,
        "yes" if one.doubtful else "",
        fate,
    ]


def sheet(kept: list[Correction]) -> bytes:
    """The first 60 corrections as a picture: what each shows and what the model answered."""
    images = np.stack([one.image for one in kept])
    shown, answers = np.array([(one.label or "none", one.answer) for one in kept]).T
    title = f"{len(kept)} corrections (label → answer)"
    return charts.png(results.misclassified(images, shown, answers, title))
