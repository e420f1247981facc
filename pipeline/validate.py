"""validate: per-image features held against expectations; what is critical stops the line, the rest warns."""

import json
import sys
from pathlib import Path

from digitline import checkpoint, checks, data, datadocs, retraining
from digitline.errors import InputError
from pipeline.stage import DATASET, Params, run

REPORT = Path("reports/validation.json")
DOCS = Path("reports/data_docs/index.html")


def validate(params: Params) -> None:
    """Checks the images and labels, writes the report and the Data Docs."""
    dataset = data.load(DATASET)
    sha256 = checkpoint.digest(DATASET)
    table = checks.features(dataset)
    outcome = checks.validate(table, checks.expectations(classes=params.classes, **params.bounds))
    failed = [finding for finding in outcome.findings if not finding.success]
    critical = {finding.name: told(finding) for finding in failed if finding.severity == "critical"}
    report = {
        "dataset": params.dataset,
        "sha256": sha256,
        "success": not critical,
        "expectations": [
            {key: value for key, value in finding._asdict().items() if key != "rows"} for finding in outcome.findings
        ],
    }
    DOCS.parent.mkdir(parents=True, exist_ok=True)
    DOCS.write_text(datadocs.page(params.dataset, sha256, dataset, table, outcome), encoding="utf-8")
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for finding in failed:
        if finding.name not in critical:
            print(f"warning: {told(finding)}", file=sys.stderr)
    if critical:
        raise InputError(f"{params.dataset} is not fit for training: {'; '.join(critical.values())} (see {DOCS})")
    if any(retraining.reasons(data.corrections(DATASET), dataset, classes=params.classes, **params.bounds)):
        raise InputError("a correction does not meet the expectations; make feedback says which and leaves it out")


def told(finding: checks.Finding) -> str:
    """A failed expectation in words."""
    return f"{finding.name}: {finding.observed}, expected {finding.expected}"


if __name__ == "__main__":
    run(validate)
