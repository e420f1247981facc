import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from digitline.base import files
from digitline.config import params
from digitline.config.params import Params, Variant
from digitline.model import arithmetic, networks
from studies import record
from tests import example
from tests.served import ROOT


def test_changes_are_applied_key_by_key():
    tree = {"a": {"b": 1, "c": 2}, "d": [1], "g": 5, "h": 6}
    record.merge(tree, {"a": {"c": 3, "e": {"f": 4}}, "d": [2, 3], "g": None})
    assert tree == {"a": {"b": 1, "c": 3, "e": {"f": 4}}, "d": [2, 3], "h": 6}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The parameters of each study of record.yaml, without variants that the record does not have yet."""
    folder = tmp_path_factory.mktemp("studies")
    changes = YAML(typ="safe").load(ROOT / "studies/record.yaml")
    settings = YAML(typ="safe").load(example.SETTINGS)
    for name in set(settings["variants"]) - set(changes["record"]["variants"]):
        del settings["variants"][name]
        settings["votes"] = [vote for vote in settings["votes"] if vote != name]

    def laid_over(name: str) -> Params:
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps(settings))  # JSON is YAML
        record.lay_over(path, changes[name])
        return params.read(path)

    return {name: laid_over(name) for name in changes}


@example.studied
def test_the_record_is_the_study_with_more_seeds_and_epochs(studies):
    study, full = example.read(), studies["record"]
    assert len(full.seeds) >= 5
    both = set(full.variants) & set(study.variants)
    assert both
    assert all(full.variants[name].recipe["epochs"] > study.variants[name].recipe["epochs"] for name in both)
    longer: dict[str, Any] = {"variants": {}, "seeds": [], "votes": [], "robustness": {}}
    assert full._replace(**longer) == study._replace(**longer)


@example.studied
@pytest.mark.parametrize("name", ["record", "ablation", "fashion"])
def test_the_reports_are_those_of_record_yaml(studies, name):
    asked, folder = studies[name], ROOT / "reports" / name
    epochs: dict[tuple[str, int], int] = {}
    for variant, seed, epoch, *_ in files.read_csv(folder / "plots/curves.csv"):
        epochs[variant, int(seed)] = int(epoch)
    assert epochs == {
        (variant, seed): setting.recipe["epochs"] for variant, setting in asked.variants.items() for seed in asked.seeds
    }
    rows = {row["variant"]: row for row in files.read_json(folder / "leaderboard.json")}
    assert set(rows) == {*asked.variants, *asked.votes}
    for variant in asked.variants:
        network = networks.build(**asked.variants[variant].model, classes=10)
        assert (rows[variant]["parameters"], rows[variant]["macs"]) == (
            arithmetic.parameters(network),
            arithmetic.macs(network),
        )


@example.studied
def test_an_ablation_changes_one_thing_of_a_variant_of_the_study(studies):
    def settings(variant: Variant) -> dict[str, Any]:
        return {**variant.model, **variant.recipe}

    study, ablation = example.read().variants, studies["ablation"].variants
    less = {name: variant.parent for name, variant in ablation.items() if name not in study}
    assert len(less) >= 8
    for name, base in less.items():
        whole, changed = settings(study[str(base)]), settings(ablation[name])
        differing = {key for key in changed if changed[key] != whole.get(key)}
        assert len(differing) == 1 or (name.endswith("_adamw") and "optimizer" in differing)


def test_without_the_files_of_fashion_mnist_the_trials_leave_its_clothes_out_and_say_so(tmp_path, monkeypatch, capsys):
    from studies import handwriting  # scikit-learn takes a second to import

    monkeypatch.setenv("DIGITLINE_DATA", str(tmp_path))
    monkeypatch.setattr(handwriting, "FASHION", tmp_path)
    assert handwriting.clothes() == {}
    said = capsys.readouterr().out
    assert "clothes are left out: no source has train-images-idx3-ubyte" in said
    assert said.rstrip().endswith("DIGITLINE_DATA may name their folder")
