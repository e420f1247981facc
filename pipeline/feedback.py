"""feedback: the corrections that came in, held against the expectations; what holds is made ready to train with."""

import os
import sys
from pathlib import Path

import numpy as np

from digitline import checkpoint, data, feedback, figures, files, leaderboard, retraining
from digitline.errors import InputError
from digitline.feedback import Correction
from pipeline.stage import DATASET, FEEDBACK, Params, run

SHEET = Path("reports/feedback.png")
HEAD = ["image", "shows", "answer", "doubted", "trained with"]


def show(params: Params) -> None:
    """Prints what came in as a table and draws a sheet of it; the SHA-256 of what can be trained with is the result."""
    folder = Path(os.environ.get("DIGITLINE_FEEDBACK", "data/feedback"))
    corrections = feedback.read(folder, params.classes)
    if not corrections:
        raise InputError(f"{folder} has no corrections; DIGITLINE_FEEDBACK={folder} make serve keeps those of the page")
    digits = [one for one in corrections if one.label]
    reasons = retraining.reasons(
        retraining.part(digits, params.classes), data.load(DATASET), classes=params.classes, **params.bounds
    )
    fit = [one for one, why in zip(digits, reasons, strict=True) if not why]
    told = {feedback.identity(one.image): "; ".join(why) for one, why in zip(digits, reasons, strict=True)}
    lines = [line(one, told.get(feedback.identity(one.image))) for one in corrections]
    print(leaderboard.markdown([HEAD, ["---"] * len(HEAD), *lines]), file=sys.stderr)
    files.write(SHEET, sheet(corrections))
    if not fit:
        raise InputError(f"none of the {len(corrections)} corrections can be trained with; the table says why")
    retraining.save(retraining.part(fit, params.classes), FEEDBACK)
    print(f"{len(fit)} of {len(corrections)} to train with, in {FEEDBACK}; drawn in {SHEET}", file=sys.stderr)
    print(checkpoint.digest(FEEDBACK))


def line(one: Correction, why: str | None) -> list[str]:
    """A correction in the table; without reasons it shows no digit."""
    fate = "no: shows no digit" if why is None else f"no: {why}" if why else "yes"
    return [feedback.identity(one.image)[:8], one.label or "no digit", one.answer, "yes" if one.doubtful else "", fate]


def sheet(corrections: list[Correction]) -> bytes:
    """The first 60 of them as a picture: what each shows, and what the model had answered."""
    images = np.stack([one.image for one in corrections])
    shown, answers = np.array([(one.label or "none", one.answer) for one in corrections]).T
    return figures.misclassified(images, shown, answers, f"{len(corrections)} corrections (shows → was taken for)")


if __name__ == "__main__":
    run(show)
