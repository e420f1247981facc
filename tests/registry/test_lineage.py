import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from digitline.base import git
from digitline.base.errors import InputError
from digitline.registry import lineage

KNOWN = {"abcd" + "0" * 60: "fc", "abcd" + "1" * 60: "conv1", "ef01" + "2" * 60: "modern"}


def recorded(folder: Path, model: str, data: str, *, commit: bool = True) -> None:
    """Writes a leaderboard of one model, and commits it."""
    board: list[dict[str, Any]] = [{"variant": "fc", "runs": [{"seed": 1, "sha256": model}]}]
    (folder / "board.json").write_text(json.dumps(board))
    (folder / "validation.json").write_text(json.dumps({"sha256": data}))
    if commit:
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "a run"]):
            subprocess.run(["git", *words], cwd=folder, check=True)


def test_a_model_comes_from_the_first_commit_that_has_it_and_the_data_of_that(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "old")
    first = str(git.ask(tmp_path, "rev-parse", "HEAD")).strip()
    recorded(tmp_path, "a", "new")
    recorded(tmp_path, "b", "new", commit=False)
    found = lineage.models(lineage.history(tmp_path, "board.json", "validation.json"))
    assert (found["a"].record.commit, found["a"].record.validation) == (first, {"sha256": "old"})
    assert (found["b"].record.commit, found["b"].record.validation) == ("", {"sha256": "new"})
    assert found["b"].run["seed"] == 1


def test_without_a_repository_there_are_the_files_as_they_are(tmp_path: Path) -> None:
    assert lineage.history(tmp_path, "board.json", "validation.json") == []
    recorded(tmp_path, "a", "new", commit=False)
    assert list(lineage.models(lineage.history(tmp_path, "board.json", "validation.json"))) == ["a"]


def test_the_first_digits_name_a_hash_in_either_case() -> None:
    assert KNOWN[lineage.whole("EF01", KNOWN)] == "modern"
    assert KNOWN[lineage.whole("abcd1", KNOWN)] == "conv1"


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        ("abcd", r"abcd may be abcd000000000000 \(fc\), abcd111111111111 \(conv1\); give more digits"),
        ("ef0", r"ef0 is not known here, expected 4 or more digits of abcd000000000000 \(fc\), "),
        ("deadbeef", r"deadbeef is not known here, expected 4 or more digits of abcd000000000000 \(fc\), "),
    ],
)
def test_digits_of_no_hash_or_of_several_are_refused(prefix: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        lineage.whole(prefix, KNOWN)


def test_an_answer_of_the_service_names_its_model(tmp_path: Path) -> None:
    path = tmp_path / "prediction.json"
    path.write_text(json.dumps({"model": "abcd", "digit": "3"}))
    assert lineage.named(str(path)) == ("abcd", {})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"GIF89a"])
def test_a_file_that_is_no_answer_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prediction.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"prediction\.json is no answer of the service, expected JSON with the key"):
        lineage.named(str(path))


def test_what_is_no_file_no_hash_and_no_image_is_refused_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="conv9 is no file, no hash and no image: there is no container engine"):
        lineage.named("conv9")
