import re
import shutil
import subprocess
from pathlib import Path

import pytest

from digitline.base.errors import InputError
from digitline.cli import start
from digitline.config import own, params
from tests import example, warm
from tests.checkout import HERE, command
from tests.test_project import targets

IDENTITY = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A project begun in this checkout."""
    place = tmp_path_factory.mktemp("begun") / "our flowers"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HERE)
        for name, value in IDENTITY.items():
            patch.setenv(name, value)
        start.start(str(place))
    return place


def test_the_project_has_the_code_in_one_commit_and_no_result_of_mnist(begun):
    assert command("git", "status", "--porcelain", cwd=begun).stdout == ""
    assert len(command("git", "log", "--format=%h", cwd=begun).stdout.split()) == 1
    there = set(command("git", "ls-files", cwd=begun).stdout.splitlines())
    assert {"Makefile", "dvc.yaml", ".dvc/config", ".github/workflows/test.yml", "tests/conftest.py"} <= there
    assert [name for name in there if name.startswith(("reports/", "models/"))] == []
    assert not there & {"promotions.jsonl", "dvc.lock", "docs/tried.md", "studies/record.yaml"}
    assert (begun / "scripts/setup.sh").read_bytes() == (HERE / "scripts/setup.sh").read_bytes()


def test_its_parameters_are_few_and_those_of_its_tests_are_all_of_mnist(begun):
    own, tested = (params.read(begun / name) for name in ("params.yaml", "tests/params.yaml"))
    assert set(own.variants) == {"conv2_relu", "modern"}
    assert own.dataset == tested.dataset == "mnist"
    assert {"fc", "conv1", "conv2"} < set(tested.variants)
    assert "# batch-normalised 3x3 convolutions" in (begun / "params.yaml").read_text()


def test_its_pages_lead_to_files_that_are_there_and_name_targets_that_exist(begun):
    readme = (begun / "README.md").read_text()
    assert readme.startswith("# our flowers\n")
    assert set(re.findall(r"^    make ([a-z-]+)", readme, re.MULTILINE)) <= targets()
    for page in [begun / "README.md", begun / "CONTRIBUTING.md", *(begun / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)


def test_it_is_as_small_where_another_data_set_is_in_use(tmp_path):
    file = tmp_path / "params.yaml"
    shutil.copy(example.SETTINGS, file)
    own.use(file, "fashion")
    file.write_text(start.settings(file.read_text())["params.yaml"])
    begun = params.read(file)
    assert (begun.dataset, set(begun.variants)) == ("mnist", {"conv2_relu", "modern"})


@pytest.mark.slow
def test_its_tests_leave_out_what_holds_the_results_of_mnist_and_say_so(begun):
    """The tests that read the committed dvc.lock are skipped; those of params.yaml work with MNIST's."""
    words = [f"{warm.folder()}/python", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-m", "not slow"]
    words += ["tests/scripts/test_verify.py", "tests/config/test_params.py"]
    done = subprocess.run(words, cwd=begun, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "this project does not have the results of digitline's MNIST study" in done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 20


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_place_that_is_taken_is_left_as_it_is(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(HERE)
    place = tmp_path / "taken"
    if kind == "folder":
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(InputError, match="taken is not an empty folder"):
        start.start(str(place))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_outside_of_a_checkout_the_command_says_where_to_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="run it in the root of one"):
        start.start("flowers")
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_in_git_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    with pytest.raises(InputError, match="git refuses: Author identity unknown"):
        start.start(str(tmp_path / "flowers"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_stopped_leaves_no_half_of_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(start, "settings", lambda text: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        start.start(str(tmp_path / "flowers"))
    assert not Path(tmp_path / "flowers").exists()
