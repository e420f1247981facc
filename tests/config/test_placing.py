import subprocess
from pathlib import Path

import pytest

from digitline.base.errors import InputError
from digitline.config import placing
from tests import drawn


@pytest.fixture(autouse=True)
def _checkout(tmp_path, monkeypatch):
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    subprocess.run(["git", "init", "-q"], check=True)


def place(root: Path) -> Path:
    found = placing.placed(root, "flowers")
    placing.ready(found, root)
    return found


def status() -> list[str]:
    return subprocess.run(
        ["git", "status", "--short", "-uall"], capture_output=True, text=True, check=True
    ).stdout.split()[1::2]


def test_a_folder_elsewhere_is_linked_and_ignored(tmp_path):
    root = drawn.folder(tmp_path / "elsewhere", a=1)
    assert place(root) == Path("data/flowers")
    assert Path("data/flowers").resolve() == root
    assert status() == ["data/.gitignore"]
    assert placing.to_share(Path("data/flowers"), [Path("data/flowers.csv")])[0].startswith(
        f"rm data/flowers && dvc add {root} --out data/flowers"
    )


def test_a_folder_in_the_checkout_stays_and_is_ignored():
    root = drawn.folder(Path("pictures/mine"), a=1)
    assert place(root) == Path("pictures/mine")
    assert status() == ["pictures/.gitignore"]
    assert Path("pictures/.gitignore").read_text() == "/mine\n"
    place(root)
    assert Path("pictures/.gitignore").read_text() == "/mine\n"


def test_a_folder_that_git_has_is_left_to_git():
    root = drawn.folder(Path("data/flowers"), a=1)
    subprocess.run(["git", "add", "."], check=True)
    place(root)
    assert not Path("data/.gitignore").exists()
    assert placing.to_share(root, [Path("data/flowers.csv")])[0].endswith("# git has the pictures already")


def test_a_moved_folder_is_linked_anew_and_another_folder_of_the_name_is_refused(tmp_path):
    first, second = (drawn.folder(tmp_path / name, a=1) for name in ("first", "second"))
    place(first)
    place(second)
    assert Path("data/flowers").resolve() == second
    Path("data/flowers").unlink()
    Path("data/flowers").mkdir()
    with pytest.raises(InputError, match="data/flowers is there already and is not"):
        place(first)
    with pytest.raises(InputError, match="has the checkout in it"):
        place(tmp_path)
