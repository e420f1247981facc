"""The stages, one script each, `python -m pipeline.STAGE` as dvc.yaml runs them."""

import os
import sys
from pathlib import Path

# An experiment that dvc queues runs in a copy of the tree: it must use that copy's library, not the installed one.
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which MLflow reads when it is imported
