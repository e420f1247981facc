"""Checks per-image features against expectations; critical failures stop the pipeline, others warn."""

import sys
from functools import partial
from pathlib import Path

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import entry
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import datadocs, dataset, expectations, pictures, retraining

UNWRITTEN = ("rows", "bound")  # of a finding, in the report


def validate(params: Params) -> None:
    """Checks the images and labels, writes the report and the Data Docs."""
    data = dataset.load(paths.DATASET)
    sha256 = digest(paths.DATASET)
    table = expectations.features(data)
    outcome = expectations.validate(
        table, expectations.rules(classes=params.classes, image=params.image, **params.bounds)
    )
    failed = [finding for finding in outcome.findings if not finding.success]
    described = partial(sentence, dataset=params.dataset)
    critical = {finding.name: described(finding) for finding in failed if finding.severity == "critical"}
    report = {
        "dataset": params.dataset,
        "sha256": sha256,
        "success": not critical,
        "expectations": [
            {key: value for key, value in finding._asdict().items() if key not in UNWRITTEN}
            for finding in outcome.findings
        ],
    }
    if "manifest" in params.source and (left := pictures.read_left_out(Path(params.source["manifest"]))):
        report["left_out"] = left
        print(f"warning: {len(left)} files were left out when {params.dataset} was adopted", file=sys.stderr)
    files.write(paths.DATA_DOCS, datadocs.page(params.dataset, sha256, data, table, outcome).encode())
    files.write_json(paths.VALIDATION, report)
    for finding in failed:
        if finding.name not in critical:
            print(f"warning: {described(finding)}", file=sys.stderr)
    if critical:
        raise InputError(
            f"{params.dataset} cannot be used for training: {'; '.join(critical.values())} (see {paths.DATA_DOCS})"
        )
    if any(retraining.reasons(dataset.corrections(paths.DATASET), data, classes=params.classes, **params.bounds)):
        raise InputError("a correction does not meet the expectations; run make feedback to leave it out")


def sentence(finding: expectations.Finding, *, dataset: str) -> str:
    """A failed expectation, and the key that sets it."""
    key = f" (datasets.{dataset}.bounds.{finding.bound} sets this)" if finding.bound else ""
    return f"{finding.name}: {finding.observed}, expected {finding.expected}{key}"


if __name__ == "__main__":
    entry.run(validate)
