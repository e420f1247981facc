"""The paths in a checkout; the stages, the command and the service pass them to the library."""

import shutil
import sys
from pathlib import Path

from digitline.config.params import Params

DATASET = Path("data/dataset.safetensors")
ADOPTED = Path("data/adopted.safetensors")  # what digitline adopt decoded, for the first fetch
FEEDBACK = Path("data/feedback.safetensors")  # corrections to train with, written by make feedback
MODELS = Path("models/variants")
EXPORTED = Path("models/exported")  # the same models as ONNX
UNFINISHED = Path("models/unfinished")  # snapshots of trainings; not an output, so DVC keeps it
SEARCHES = UNFINISHED / ".search"  # the studies of digitline search, by variant; no variant's name begins with a dot
REMOVED = Path("models/removed")  # files of variants that params.yaml no longer lists
STUDY = Path("models/study")  # each variant's best run, for the service
LISTED = STUDY / "study.json"
CHAMPION = Path("models/champion")
PREDICTIONS = Path("predictions")

REPORTS = Path("reports")
VALIDATION = REPORTS / "validation.json"
DATA_DOCS = REPORTS / "data_docs/index.html"
LEADERBOARD = REPORTS / "leaderboard.json"
COMPARISONS = REPORTS / "comparisons.json"
PLOTS = REPORTS / "plots"
INSIGHT = REPORTS / "insight"
IDEAS = REPORTS / "ideas"
VERDICT = REPORTS / "promotion.json"
MACHINE = REPORTS / "machine.json"  # the machine that made the committed results
MADE_ON = Path("models/machine.json")  # the machine that made the present results
REPORTED = REPORTS / "timings.json"  # of the committed run
ROWS, CURVES, ROBUSTNESS = REPORTS / "variants", REPORTS / "curves", REPORTS / "robustness"
TIMINGS = Path("models/timings.json")  # of this machine
LEDGER = Path("promotions.jsonl")
FIGURES = ["misclassified", "confusion", "calibration"]


def model_path(variant: str, seed: int) -> Path:
    """The path of a run's model."""
    return MODELS / variant / f"seed-{seed}.safetensors"


def model_paths(params: Params, name: str) -> dict[int, Path]:
    """The paths of a row's models by seed; a vote has the seed 0."""
    if name in params.votes:
        return {0: MODELS / name / "vote.safetensors"}
    return {seed: model_path(name, seed) for seed in params.seeds}


def exported_path(model: Path) -> Path:
    """The path of a model of MODELS as ONNX."""
    return EXPORTED / model.parent.name / f"{model.stem}.onnx"


def predictions_path(name: str) -> Path:
    """The path of the logits of a row's runs."""
    return PREDICTIONS / f"{name}.safetensors"


def row_path(name: str) -> Path:
    """The path of a row of the leaderboard."""
    return ROWS / f"{name}.json"


def curves_path(variant: str) -> Path:
    """The path of the epochs of a variant's runs."""
    return CURVES / f"{variant}.csv"


def robustness_path(name: str) -> Path:
    """The path of a row's accuracies on changed images."""
    return ROBUSTNESS / f"{name}.csv"


def figure_path(kind: str, name: str) -> Path:
    """The path of a row's figure."""
    return REPORTS / kind / f"{name}.png"


def set_aside(params: Params) -> None:
    """Moves files of variants that params.yaml no longer lists; DVC would hash them with their folders."""
    listed = {*params.rows}
    for folder in (MODELS, EXPORTED, PREDICTIONS, ROWS, CURVES, ROBUSTNESS):
        for path in sorted(folder.glob("*")):
            if (path.name if path.is_dir() else path.stem) not in listed:
                place = REMOVED / folder / path.name
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)
                print(f"moved {path} to {place}: params.yaml does not list its variant", file=sys.stderr)
