"""The study at full length: the line with record.yaml laid over params.yaml, in a checkout of its own.

Cut short, it goes on from there; its reports end in reports/record/.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHECKOUT, REPORTS = Path(".record"), Path("reports/record")
KEPT = [
    "leaderboard.json",
    "comparisons.json",
    "timings.json",
    "front.png",
    "robustness.png",
    "plots/curves.csv",
    "plots/calibration.csv",
    "plots/robustness.csv",
]


def main() -> None:
    """Runs the line up to compare and copies what it found."""
    update()
    lay_over(CHECKOUT / "params.yaml", Path("record.yaml"))
    alone = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(["dvc", "repro", "compare"], cwd=CHECKOUT, env=alone, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    for name in KEPT:
        (REPORTS / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / "reports" / name, REPORTS / name)


def update() -> None:
    """Brings the checkout's code to HEAD; what DVC has made there stays."""
    if not CHECKOUT.exists():
        subprocess.run(["git", "clone", "--quiet", ".", CHECKOUT], check=True)
    subprocess.run(["git", "fetch", "--quiet", "origin", "HEAD"], cwd=CHECKOUT, check=True)
    code = [".", ":!reports", ":!dvc.lock"]
    subprocess.run(["git", "checkout", "--quiet", "FETCH_HEAD", "--", *code], cwd=CHECKOUT, check=True)


def lay_over(params: Path, changes: Path) -> None:
    """Writes the changes over params.yaml, key by key."""
    yaml = YAML()
    tree = yaml.load(params)
    merge(tree, yaml.load(changes))
    yaml.dump(tree, params)


def merge(tree: dict[str, Any], changes: dict[str, Any]) -> None:
    """Sets each key of the changes; where both hold keys, those within."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            merge(tree[key], value)
        else:
            tree[key] = value


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; the next make record goes on from here")
