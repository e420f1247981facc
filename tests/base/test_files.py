import subprocess
import sys

import pytest

from digitline.base import files
from digitline.base.errors import InputError

FULL = """
import resource, sys
from pathlib import Path
from digitline.base import files
from digitline.base.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write(Path(sys.argv[1]), bytes(2000))
except InputError as error:
    print(error)
"""


def test_a_file_is_written_with_its_folder(tmp_path):
    files.write(tmp_path / "a/b.json", b"{}")
    assert (tmp_path / "a/b.json").read_bytes() == b"{}"


def test_a_failed_write_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path} could not be written: File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.csv", "x,y\n1,2\n<<<<<<< HEAD\n")])
def test_a_damaged_file_is_restored_by_git_or_else_made_again(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    read = files.read_json if name == "a.json" else files.read_csv
    with pytest.raises(InputError, match=r"; delete it and run dvc repro$"):
        read(path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match=f"; git checkout HEAD -- {path} restores it$"):
        read(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/inside could not be written"):
        files.write(tmp_path / "file/inside", b"")
