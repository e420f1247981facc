import shutil
from pathlib import Path
from typing import Any

import pytest

from digitline import models
from pipeline import stage
from scripts import bench, record

ROOT = Path(__file__).parents[1]


def test_changes_are_laid_over_key_by_key():
    tree = {"a": {"b": 1, "c": 2}, "d": [1]}
    record.merge(tree, {"a": {"c": 3, "e": {"f": 4}}, "d": [2, 3]})
    assert tree == {"a": {"b": 1, "c": 3, "e": {"f": 4}}, "d": [2, 3]}


def test_the_record_is_the_study_with_more_seeds_and_epochs(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    record.lay_over(tmp_path / "params.yaml", ROOT / "record.yaml")
    study, full = stage.read(ROOT / "params.yaml"), stage.read(tmp_path / "params.yaml")
    assert len(full.seeds) >= 5
    assert set(full.variants) >= set(study.variants)
    assert all(full.variants[name].recipe["epochs"] > study.variants[name].recipe["epochs"] for name in study.variants)
    longer: dict[str, Any] = {"variants": {}, "seeds": [], "votes": [], "robustness": {}}
    assert full._replace(**longer) == study._replace(**longer)


def test_the_usual_network_is_the_one_that_everybody_starts_with():
    assert models.parameters(bench.Usual()) == 1_199_882


def test_a_picture_is_normalised_as_usual(digits):
    image, label = bench.Pictures(digits.train)[0]
    assert image.shape == (1, 28, 28)
    assert label == digits.train.labels[0]
    assert float(image.min()) == pytest.approx(-0.1307 / 0.3081)


def test_the_floor_follows_the_network(monkeypatch):
    rate, seconds = bench.floor(1)
    assert rate > 1e8
    macs = models.macs(models.build(classes=10, **bench.NETWORK))
    assert 2 * macs * 55_000 / rate < seconds < 3 * macs * 55_000 / rate
