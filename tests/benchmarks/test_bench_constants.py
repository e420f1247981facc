"""The page's tables are what was measured, and what the simulation makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks import bench_constants, crowd
from benchmarks.bench_constants import PAGE, TABLES
from benchmarks.bench_train import FOLDER
from digitline.base import files
from digitline.cli.results import marked
from tests import example
from tests.served import ROOT


@pytest.fixture
def written() -> Mapping[str, Any]:
    found: Mapping[str, Any] = files.read_json(ROOT / FOLDER / "constants.json")
    return found


@example.studied
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_page_is_what_was_measured(name: str, written: Mapping[str, Any]) -> None:
    assert marked((ROOT / PAGE).read_text(), name)[1].strip() == TABLES[name](written)


@example.studied
def test_what_breaks_first_follows_from_the_constants(written: Mapping[str, Any]) -> None:
    rows = [row for row in written["breaks"] if row["nodes"] < 1000]  # 1,000 nodes take seconds
    assert crowd.table(written["constants"], crowd.NODES[:2]) == rows


def test_each_table_is_written_between_its_marks(tmp_path, monkeypatch) -> None:
    page = tmp_path / "scale.md"
    page.write_text("a\n<!-- constants -->\nold\n<!-- /constants -->\nb\n<!-- breaks -->\n<!-- /breaks -->\nc\n")
    monkeypatch.setattr(bench_constants, "PAGE", page)
    found = {
        "dataset_bytes": 1e6, "snapshot_bytes": 2e3, "record_bytes": 3, "model_bytes": 4e3, "epoch_seconds": 5.0,
        "mlflow_seconds": {"sqlite": 0.1, "postgresql": 0.01}, "dvc_seconds": 0.2, "dvc_unchanged_seconds": 0.001,
    }  # fmt: skip
    row = {"nodes": 1000, "setup": "as it comes", "training": 0.5, "first": "DVC's lock", "busy": 0.99}
    bench_constants.show({"constants": found, "breaks": [row]})
    text = page.read_text()
    assert "| MLflow: epochs logged a second, PostgreSQL | 100 |" in text
    assert "| 1,000 | as it comes | 50% | DVC's lock, 99% |" in text
    assert "old" not in text
    assert text.startswith("a\n<!-- constants -->\n| what |")
    assert text.endswith("<!-- /breaks -->\nc\n")
