import json
import shutil
from pathlib import Path

import mlflow.onnx
import numpy as np
import pytest
from mlflow import pyfunc
from scipy.special import softmax

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Dataset
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from digitline.tracking import models, runs
from digitline.tracking.store import Store
from tests.tracked import CARD, Study, evaluate, promote, runs_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported


def test_a_model_is_traced_to_its_run_its_version_and_its_commit(store: Store, study: Study) -> None:
    evaluate(store, study)
    promote(store, study, 2)
    run = runs_of(store)["small · seed 2"]
    found = models.trace(store, digest(study.models[2]))
    assert (found["version"], found["run"]) == ("digitline 1", f"{run.info.run_id}, small · seed 2")
    assert models.trace(store, "0" * 64) == {}


def test_a_logged_model_is_a_file_of_the_store_s_own(store: Store, study: Study, tmp_path: Path) -> None:
    """Where DVC links an output to its cache, which is read-only: by content, and to be replaced as any other."""
    cached, output = tmp_path / "cached", tmp_path / "seed-1.safetensors"
    cached.write_bytes(study.models[1].read_bytes())
    cached.chmod(0o444)
    output.symlink_to(cached)
    logged = models.log(store, output, "small-seed-1", study.examples, exported=study.exported[1])
    [found] = Path(logged.artifact_location.removeprefix("file://")).glob("data/*")
    assert (found.is_symlink(), found.stat().st_mode & 0o200, digest(found)) == (False, 0o200, digest(cached))


def test_a_logged_model_gives_the_probabilities_of_its_file_without_pickle(
    store: Store, study: Study, digits: Dataset
) -> None:
    evaluate(store, study)
    logged = models.logged(store, digest(study.models[1]))
    assert logged
    loaded = pyfunc.load_model(logged.artifact_location)
    probabilities = loaded.predict(digits.test.images)
    logits = predict(checkpoint.load(study.models[1]), digits.test.images)
    np.testing.assert_array_equal(probabilities, softmax(logits, 1))
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 28, 28)
    np.testing.assert_array_equal(loaded.input_example, study.examples)
    names = {path.suffix for path in Path(logged.artifact_location).rglob("*") if path.is_file()}
    assert names <= {"", ".css", ".jinja", ".json", ".onnx", ".py", ".safetensors", ".txt", ".yaml"}


def test_a_logged_model_s_onnx_flavour_is_the_exported_file_with_one_output(store: Store, study: Study) -> None:
    evaluate(store, study)
    logged = models.logged(store, digest(study.models[1]))
    assert logged
    loaded = mlflow.onnx.load_model(logged.artifact_location)
    assert loaded.SerializeToString() == study.exported[1].read_bytes()
    assert [output.name for output in loaded.graph.output] == ["probabilities"]


def test_promoting_moves_the_alias_and_makes_one_version_per_model(store: Store, study: Study) -> None:
    evaluate(store, study)
    assert [promote(store, study, seed) for seed in (1, 2, 2, 1, 2)] == ["1", "2", "2", "1", "2"]
    champion = store.client.get_model_version_by_alias("digitline", "champion")
    assert champion.tags["sha256"] == digest(study.models[2])
    assert champion.run_id == runs_of(store)["small · seed 2"].info.run_id
    assert champion.description == "good"
    logged = models.logged(store, champion.tags["sha256"])
    assert logged
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "digitline", "version": "2"}]
    assert len(store.client.search_model_versions("name = 'digitline'")) == 2


def test_a_model_counts_only_with_its_files_and_gets_them_again(
    store: Store, study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its code is deleted, its weights are damaged and deleted, at last all of mlruns; then MLflow loads it."""
    evaluate(store, study)
    promote(store, study, 2)
    sha256, digests = digest(study.models[2]), [digest(path) for path in study.models.values()]
    model = models.logged(store, sha256)
    assert model
    files = Path(model.artifact_location)
    weights = files / "data/seed-2.safetensors"
    damages = [
        lambda: shutil.rmtree(files / "code"),
        lambda: weights.write_bytes(bytes(weights.stat().st_size)),
        weights.unlink,
        lambda: shutil.rmtree(files.parents[2]),
    ]
    for damage in damages:
        assert (models.champion(store), runs.knows(store, digests)) == (sha256, True)
        damage()
        assert (models.champion(store), runs.knows(store, digests)) == (None, False)
        assert models.download(store, sha256, tmp_path) is None
        assert promote(store, study, 2) == "1"
    assert not runs.knows(store, digests)  # seed 1 was in mlruns, too
    evaluate(store, study)
    assert runs.knows(store, digests)
    assert len(store.client.search_logged_models([store.experiment])) == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.client.tracking_uri)
    assert pyfunc.load_model("models:/digitline@champion").predict(study.examples).shape == (2, 10)


def test_a_champion_whose_logged_model_was_deleted_in_mlflow_becomes_a_new_version(store: Store, study: Study) -> None:
    promote(store, study, 1)
    model = models.logged(store, digest(study.models[1]))
    assert model
    store.client.delete_logged_model(model.model_id)
    assert models.champion(store) is None
    assert promote(store, study, 1) == "2"
    assert models.champion(store) == digest(study.models[1])
    assert len(models.versions(store, digest(study.models[1]))) == 1


def test_a_model_that_the_store_does_not_have_can_be_promoted(
    store: Store, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert promote(store, study, 1) == promote(store, study, 1) == "1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.client.tracking_uri)
    assert pyfunc.load_model("models:/digitline@champion").predict(study.examples).shape == (2, 10)


def test_the_registry_returns_its_champion_and_each_model_with_its_card(
    store: Store, study: Study, tmp_path: Path
) -> None:
    assert models.champion(store) is None
    digests = [digest(study.models[seed]) for seed in (1, 2)]
    with pytest.raises(InputError, match=f"MLflow's registry has no version of the model {digests[0][:16]}"):
        models.promote(store, digests[0])
    for seed in (1, 2):
        promote(store, study, seed)
    assert models.champion(store) == digests[1]
    folder = models.download(store, digests[0], tmp_path)
    assert folder
    assert digest(folder / "model.safetensors") == digests[0]
    exported = digest(folder / "model.onnx")
    assert json.loads((folder / "model.json").read_text()) == CARD | {"seed": 1, "onnx_sha256": exported}
    assert models.download(store, "0" * 64, tmp_path) is None
