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


def test_a_model_comes_from_the_first_commit_that_has_it_and_from_its_data(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "old")
    first = str(git.ask(tmp_path, "rev-parse", "HEAD")).strip()
    recorded(tmp_path, "a", "new")
    recorded(tmp_path, "b", "new", commit=False)
    found = lineage.models(lineage.history(tmp_path, "board.json", "validation.json"))
    assert (found["a"].record.commit, found["a"].record.validation) == (first, {"sha256": "old"})
    assert (found["b"].record.commit, found["b"].record.validation) == ("", {"sha256": "new"})
    assert found["b"].run["seed"] == 1


def test_a_leaderboard_in_conflict_is_named_and_left_out_where_it_was_committed(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "old")
    for text in ("<<<<<<< HEAD\n", "[]"):
        (tmp_path / "board.json").write_text(text)
        if text != "[]":
            with pytest.raises(InputError, match=r"board\.json is not valid JSON"):
                lineage.history(tmp_path, "board.json", "validation.json")
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *author, "commit", "-qam", text], cwd=tmp_path, check=True)
    found = lineage.history(tmp_path, "board.json", "validation.json")
    assert [record.board for record in found][:2] == [[], []]
    assert found[2].board[0]["runs"][0]["sha256"] == "a"


def test_without_a_repository_the_present_files_are_used(tmp_path: Path) -> None:
    assert lineage.history(tmp_path, "board.json", "validation.json") == []
    recorded(tmp_path, "a", "new", commit=False)
    assert list(lineage.models(lineage.history(tmp_path, "board.json", "validation.json"))) == ["a"]


def test_the_first_digits_name_a_hash_in_either_case() -> None:
    assert KNOWN[lineage.whole("EF01", KNOWN)] == "modern"
    assert KNOWN[lineage.whole("abcd1", KNOWN)] == "conv1"


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        ("abcd", r"abcd is ambiguous: abcd000000000000 \(fc\), abcd111111111111 \(conv1\); give more digits"),
        ("ef0", r"ef0 is unknown, expected 4 or more digits of abcd000000000000 \(fc\), "),
        ("deadbeef", r"deadbeef is unknown, expected 4 or more digits of abcd000000000000 \(fc\), "),
    ],
)
def test_an_unknown_or_ambiguous_prefix_is_refused(prefix: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        lineage.whole(prefix, KNOWN)


def test_an_answer_of_the_service_names_its_model(tmp_path: Path) -> None:
    path = tmp_path / "prediction.json"
    path.write_text(json.dumps({"model": "abcd", "label": "3"}))
    assert lineage.named(str(path)) == ("abcd", {})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"GIF89a"])
def test_a_file_that_is_not_an_answer_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prediction.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"prediction\.json is not an answer of the service, expected JSON with"):
        lineage.named(str(path))


def test_a_name_of_no_file_hash_or_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="conv9 is neither a file nor a hash nor an image"):
        lineage.named("conv9")
