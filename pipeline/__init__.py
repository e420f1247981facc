"""The stages, one script each; dvc.yaml runs them as `python -m pipeline.STAGE`."""

import os
import sys
from pathlib import Path

# A queued experiment of dvc runs in a copy of the tree and must use that copy's library, not the installed one.
# So must the processes that a stage starts: their server imports before it knows this process's path.
SRC = str(Path(__file__).parents[1] / "src")
sys.path.insert(0, SRC)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SRC, os.environ.get("PYTHONPATH")]))

for name in ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"):  # bind each process to the first core, unlike ours
    os.environ.pop(name, None)  # OpenMP reads them when torch is imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow reads it at import
