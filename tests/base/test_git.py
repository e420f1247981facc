import subprocess
from pathlib import Path

import pytest

from digitline.base import git
from digitline.base.errors import InputError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for text in ("one", "two"):
        (folder / "file").write_text(text)
        subprocess.run(["git", "-C", str(folder), "add", "file"], check=True)
        subprocess.run(["git", "-C", str(folder), *author, "commit", "-qm", text], check=True)
    return folder


def test_what_there_is_not_is_none(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git.ask(repository, "show", "HEAD:file") == "two"
    assert git.ask(repository, "show", "HEAD:other") is None
    assert git.ask(repository, "show", "other:file") is None
    assert git.ask(tmp_path, "log") is None
    subprocess.run(["git", "init", "-q", str(tmp_path / "new")], check=True)
    assert git.ask(tmp_path / "new", "log") is None
    monkeypatch.setenv("PATH", "")
    assert git.ask(repository, "log") is None


def test_what_git_refuses_is_passed_on(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of another user, which git will not read."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match=r"^git refuses: fatal: detected dubious ownership .* safe\.directory "):
        git.ask(repository, "log")


def test_a_clone_with_the_last_commit_alone_is_shallow(repository: Path, tmp_path: Path) -> None:
    words = ["git", "clone", "-q", "--depth", "1", f"file://{repository}", str(tmp_path / "cut")]
    subprocess.run(words, check=True)
    assert git.shallow(tmp_path / "cut")
    assert not git.shallow(repository)
