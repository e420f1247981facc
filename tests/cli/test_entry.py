"""How stages and commands begin and end."""

import subprocess
import sys
from pathlib import Path

import pytest

from digitline.cli import entry


@pytest.mark.parametrize("name", ["what?", "100%"])
def test_a_checkout_whose_path_breaks_an_address_is_refused_before_any_work(name, tmp_path, monkeypatch, capsys):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        entry.end_well(lambda: pytest.fail("it worked"))
    assert str(end.value) == (
        f"error: the path {folder} contains {name[-1]}, which MLflow's database cannot have; rename the folder"
    )
    assert list(folder.iterdir()) == []


def test_any_other_path_passes() -> None:
    entry.addressable(Path("/a b/#1/数字"))


def test_a_reader_that_ends_first_is_no_error() -> None:
    """As in digitline explore | head."""
    script = "from digitline.cli.entry import end_well; end_well(lambda: [print('x' * 9999) for _ in range(99)])"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(5)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
    assert process.returncode == 1
