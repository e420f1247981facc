"""Runs a study of record.yaml: the pipeline up to figures, with its changes to params.yaml, in its own checkout.

After an interruption it continues; its reports go to a folder of its name in reports/.
"""

import argparse
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from digitline.base import files
from digitline.compute.machine import processor
from digitline.config import own, paths

STUDIES, CHECKOUTS, REPORTS = Path("studies/record.yaml"), Path(".record"), Path("reports")
KEPT = [
    "leaderboard.json",
    "comparisons.json",
    "front.png",
    "robustness.png",
    "plots/curves.csv",
    "plots/calibration.csv",
    "plots/robustness.csv",
]


def main() -> None:
    """Runs a study and copies its reports."""
    if not STUDIES.exists():
        sys.exit(
            f"error: there is no {STUDIES}, which has changes to params.yaml, as record: {{seeds: [1, 2, 3, 4, 5]}}"
        )
    studies = YAML(typ="safe").load(STUDIES)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=list(studies))
    name = parser.parse_args().study
    checkout = CHECKOUTS / name
    update(checkout)
    lay_over(checkout / "params.yaml", studies[name])
    alone = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(["dvc", "repro", "figures"], cwd=checkout, env=alone, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    for kept in KEPT:
        path = REPORTS / name / kept
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkout / "reports" / kept, path)
    shutil.copy(checkout / paths.TIMINGS, REPORTS / name)
    files.write_json(REPORTS / name / "origin.json", origin(checkout))


def origin(checkout: Path) -> dict[str, str]:
    """The machine and the commit that made the results."""
    words = ["git", "rev-parse", "FETCH_HEAD"]
    commit = subprocess.run(words, cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()
    return {"machine": f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}", "commit": commit}


def update(checkout: Path) -> None:
    """Updates the checkout's code to HEAD; keeps DVC's outputs there."""
    if not checkout.exists():
        subprocess.run(["git", "clone", "--quiet", ".", checkout], check=True)
    subprocess.run(["git", "fetch", "--quiet", "origin", "HEAD"], cwd=checkout, check=True)
    code = [".", ":!reports", ":!dvc.lock"]
    subprocess.run(["git", "checkout", "--quiet", "FETCH_HEAD", "--", *code], cwd=checkout, check=True)


def lay_over(params: Path, changes: dict[str, Any]) -> None:
    """Writes the changes into params.yaml, key by key; a study of another `dataset` starts from that one's sections.

    A variant with the key `like` starts from the keys of that variant and is compared with it.
    """
    if name := changes.get("dataset"):
        own.use(params, name)
    yaml = YAML()
    tree = yaml.load(params)
    merge(tree, changes)
    for name, variant in tree["variants"].items():
        if "like" in variant:
            like = variant.pop("like")
            tree["variants"][name] = {**deepcopy(tree["variants"][like]), "parent": like}
            merge(tree["variants"][name], variant)
    yaml.dump(tree, params)


def merge(tree: dict[str, Any], changes: dict[str, Any]) -> None:
    """Sets the keys of the changes, removes those that are null, and merges nested keys (RFC 7396)."""
    for key, value in changes.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict) and isinstance(tree.get(key), dict):
            merge(tree[key], value)
        else:
            tree[key] = value


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; make record continues from here")
