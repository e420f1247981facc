"""Where things are in a checkout; the stages, the command and the service pass them on to the library."""

import shutil
import sys
from pathlib import Path

from digitline.config.params import Params

DATASET = Path("data/dataset.safetensors")
FEEDBACK = Path("data/feedback.safetensors")  # corrections to train with, as make feedback leaves them
MODELS = Path("models/variants")
UNFINISHED = Path("models/unfinished")  # where trainings stand; DVC leaves it alone when it clears outputs
REMOVED = Path("models/removed")  # what variants that params.yaml no longer lists have left
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
MACHINE = REPORTS / "machine.json"  # which one made what is committed
MADE_ON = Path("models/machine.json")  # which one made what is here
REPORTED = REPORTS / "timings.json"  # of the run that is committed
ROWS, CURVES, ROBUSTNESS = REPORTS / "variants", REPORTS / "curves", REPORTS / "robustness"
TIMINGS = Path("models/timings.json")  # of this machine
LEDGER = Path("promotions.jsonl")
FIGURES = ["misclassified", "confusion", "calibration"]


def model_path(variant: str, seed: int) -> Path:
    """Where the model of one run is kept."""
    return MODELS / variant / f"seed-{seed}.safetensors"


def model_paths(params: Params, name: str) -> dict[int, Path]:
    """Where the models of a row are kept, by seed; the one that votes counts as of a seed 0."""
    if name in params.votes:
        return {0: MODELS / name / "vote.safetensors"}
    return {seed: model_path(name, seed) for seed in params.seeds}


def predictions_path(name: str) -> Path:
    """Where the logits of a row's runs are kept."""
    return PREDICTIONS / f"{name}.safetensors"


def row_path(name: str) -> Path:
    """Where a row of the leaderboard is kept."""
    return ROWS / f"{name}.json"


def curves_path(variant: str) -> Path:
    """Where the epochs of a variant's runs are kept."""
    return CURVES / f"{variant}.csv"


def robustness_path(name: str) -> Path:
    """Where a row's accuracies on changed images are kept."""
    return ROBUSTNESS / f"{name}.csv"


def figure_path(kind: str, name: str) -> Path:
    """Where a row's figure is kept."""
    return REPORTS / kind / f"{name}.png"


def set_aside(params: Params) -> None:
    """Moves what variants that params.yaml no longer lists have left, which DVC would hash with their folders."""
    listed = {*params.rows}
    for folder in (MODELS, PREDICTIONS, ROWS, CURVES, ROBUSTNESS):
        for path in sorted(folder.glob("*")):
            if (path.name if path.is_dir() else path.stem) not in listed:
                place = REMOVED / folder / path.name
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)
                print(f"{path} is of no variant in params.yaml: moved to {place}", file=sys.stderr)
