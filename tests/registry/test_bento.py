"""The champion in BentoML's store, and the errors of serving if it is incomplete."""

import json
from pathlib import Path

import pytest

from digitline.base.errors import InputError
from digitline.registry import bento
from tests.served import free_port, new_champion, new_clone

# One process for all of it: BentoML, which takes a second to import, reads then where its store is.
MENDED = """
import shutil
import sys
from pathlib import Path
from digitline.registry import bento

tag, home = bento.store(Path("models/champion")), Path(sys.argv[1])
print(tag)
[stored] = (home / "models/digitline").glob("*/")
print(sorted(file.name for file in stored.iterdir()))
made = (stored / "model.yaml").read_bytes()  # it holds the time
assert bento.store(Path("models/champion")) == tag
print((stored / "model.yaml").read_bytes() == made)
(stored / "model.safetensors").write_bytes(b"what an interruption left")
bento.store(Path("models/champion"))
print(bento.digest(stored / "model.safetensors"))
(stored / "model.yaml").unlink()
bento.store(Path("models/champion"))
print((stored / "model.yaml").read_text())
sha256 = bento.digest(stored / "model.safetensors")
for lost in (stored, stored.parent, home):  # as one deletes them
    shutil.rmtree(lost)
    print(bento.kept(sha256))
    bento.store(Path("models/champion"))
    print(bento.kept(sha256) == stored)
shutil.rmtree(stored)
stored.mkdir()
bento.store(Path("models/champion"))
print(bento.kept(sha256) == stored)
"""


def test_a_champion_is_stored_once_as_three_files_under_its_content_s_name_and_mended(tmp_path: Path) -> None:
    clone = new_clone(tmp_path / "clone")
    sha256 = json.loads((clone.folder / "models/champion/model.json").read_text())["sha256"]
    done = clone.python("-c", MENDED, clone.environment["BENTOML_HOME"])
    assert done.returncode == 0, done.stderr
    tag, files, same, mended, *card = done.stdout.splitlines()
    card, again = card[:-7], card[-7:]
    assert tag == f"digitline:{sha256[:16]}"
    assert files == "['model.json', 'model.onnx', 'model.safetensors', 'model.yaml']"
    assert same == "True"
    assert mended == sha256
    assert f"  sha256: {sha256}" in card
    assert again == [*["None", "True"] * 3, "True"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"sha256": 5, "classes": ["0"], "variant": "fc"}'])
def test_an_invalid_card_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(InputError, match=r"model\.json is not a model card, expected JSON with sha256"):
        bento.read_card(tmp_path)


def test_a_champion_of_an_earlier_version_is_verified_but_not_served(tmp_path: Path) -> None:
    new_champion(tmp_path / "champion", seed=0)
    (tmp_path / "champion/model.onnx").unlink()
    card = json.loads((tmp_path / "champion/model.json").read_text())
    del card["onnx_sha256"]
    (tmp_path / "champion/model.json").write_text(json.dumps(card))
    assert bento.verified(tmp_path / "champion") == card
    with pytest.raises(InputError, match=r"champion has no model\.onnx, .*; run digitline status to export it"):
        bento.servable(tmp_path / "champion")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            "model.json",
            None,
            "there is no champion in {champion}; run make to train and promote one; if no model passed the gate, repo",
        ),
        ("model.safetensors", "x", "{champion}/model.safetensors is not the model that its card names, expected SHA"),
        ("model.onnx", "x", "{champion}/model.onnx is not the model that its card names, expected SHA"),
    ],
)
def test_without_a_complete_champion_serving_ends_in_one_sentence(
    tmp_path: Path, file: str, content: str | None, sentence: str
) -> None:
    clone = new_clone(tmp_path / "clone")
    path = clone.folder / "models/champion" / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    ended = clone.python("-m", "bentoml", "serve", "--port", str(free_port()))
    assert ended.returncode == 1
    assert sentence.format(champion=path.parent) in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Tracking Payload" not in ended.stdout + ended.stderr
