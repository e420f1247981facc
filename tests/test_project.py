"""Settings, workflows, README and docs say what the code does."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from dvc_render.vega import VegaRenderer
from ruamel.yaml import YAML

from digitline.base import files
from digitline.cli import results
from digitline.cli.main import COMMANDS, parser
from digitline.data import lines, prepare
from scripts import container, screenshots
from service import api, feedback, form, logs, protocol, work
from tests import example

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
OURS = ("benchmarks", "pipeline", "scripts", "service", "studies", "tests")
CODE = [path for folder in ("src", *OURS) for path in (ROOT / folder).rglob("*.py")]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def yaml(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


def command(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Versions by name, of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = sum(project["optional-dependencies"].values(), project["dependencies"])
    return {canonical(name.partition("[")[0]): version for name, version in (line.split("==") for line in lines)}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


# Dependencies


def test_the_lock_has_every_dependency_at_its_pin() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = dict(line.split("==") for line in lines if "==" in line)
    assert {name: locked.get(name) for name in pins()} == pins()


def test_the_lock_has_only_pinned_versions() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9a-z.]+", line)] == []


def test_what_the_code_imports_is_a_direct_dependency() -> None:
    imported = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    providers = packages_distributions()
    foreign = imported - {"digitline", *OURS} - sys.stdlib_module_names
    assert {
        name for name in foreign if not {canonical(one) for one in providers.get(name, [name])} & set(pins())
    } == set()


# Set-up


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_setup_without_a_supported_python_names_the_supported_ones(python: str) -> None:
    done = command("sh", "scripts/setup.sh", PYTHON=python)
    assert done.returncode == 1
    assert done.stderr == (f"error: none of {python} is Python 3.11, 3.12 or 3.13; run make PYTHON=/path/to/python\n")


@pytest.mark.slow
def test_mlflow_bentoml_and_dvc_read_that_telemetry_is_off() -> None:
    silent = """if True:
        import site; site.addsitedir("scripts")
        from bentoml._internal.utils.analytics.usage_stats import do_not_track
        from dvc.analytics import is_enabled
        from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY
        print(do_not_track(), is_enabled(), MLFLOW_DISABLE_TELEMETRY.get())"""
    clean = {name: value for name, value in os.environ.items() if "TRACK" not in name and "TELEMETRY" not in name}
    clean = {**clean, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-S", "-c", silent]  # without .venv's copy of the settings
    done = subprocess.run(words, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert done.stdout == "True False True\n"


def test_a_clone_by_git_as_windows_sets_it_up_has_the_same_bytes(tmp_path: Path) -> None:
    words = ["git", "-c", "core.autocrlf=true", "clone", "-q", "--no-local", str(ROOT), str(tmp_path / "clone")]
    assert subprocess.run(words, check=False).returncode == 0
    listed = ["git", "-C", str(tmp_path / "clone"), "ls-files", "--eol"]
    files = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in files if "w/crlf" in line or "w/mixed" in line] == []
    assert len(files) > 200


# Workflows


def test_a_workflow_runs_pinned_actions_and_make_targets() -> None:
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        assert all(re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in re.findall(r"uses: .*", text))
        assert set(re.findall(r"\bmake (?:--silent )?([a-z-]+)", text)) <= targets()


def test_the_dev_container_uses_the_common_setup_on_a_supported_python() -> None:
    found = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert set(re.findall(r"\bmake ([a-z-]+)", found["onCreateCommand"])) == {"setup"}
    assert found["image"].rpartition(":")[2].partition("-")[0] in {"3.11", "3.12", "3.13"}


def test_a_commit_has_the_checks_of_ci() -> None:
    [hook] = [hook for repo in yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert hook["entry"] == "make lint"
    assert "- run: make lint\n" in (ROOT / ".github/workflows/test.yml").read_text()


# README and docs


@example.studied
@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, tables in results.PAGES.items() for name in tables], ids=str
)
def test_a_table_of_the_pages_is_what_the_reports_say(page: Path, name: str) -> None:
    draw, folder = results.PAGES[page][name]
    assert results.marked((ROOT / page).read_text(), name)[1].strip() == draw(ROOT / folder)


def test_readme_is_short() -> None:
    lines = [line for line in README.splitlines() if not line.startswith(("|", "<!--"))]
    assert len(" ".join(lines).split()) <= 700


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    for path, heading in links:
        target = page.parent / path if path else page
        assert target.exists(), path
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


@example.studied
def test_readme_leads_to_every_page() -> None:
    assert set(re.findall(r"\]\((docs/[^)]*\.md)\)", README)) == {
        f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")
    }


@example.studied
def test_the_screenshots_are_small() -> None:
    for name in ("page", "report"):
        assert (ROOT / f"docs/images/{name}.png").stat().st_size <= screenshots.LIMIT


@example.studied
def test_readme_s_tree_names_what_is_there_and_every_package() -> None:
    block = README.split("```text\n")[1].split("```")[0]
    entries = [line for line in block.splitlines() if not line.startswith(" ")]
    named = [line.split()[0] for line in entries[:-1]] + entries[-1].split()
    assert [name for name in named if not (ROOT / name).exists()] == []
    packages = {path.parent.name for path in (ROOT / "src/digitline").glob("*/__init__.py")}
    listed = block.partition("the library:")[2].partition("service/")[0]
    assert set(re.findall(r"[a-z]+", listed)) == packages


def test_the_limits_of_the_service_are_those_of_its_code() -> None:
    text = (ROOT / "docs/service.md").read_text()
    for what, limit in {
        "images in one JSON request": f"{form.MAX_IMAGES}",
        "images in one request of bytes": f"{form.MAX_RAW:,}",
        "size of a JSON body": f"{form.JSON_BYTES >> 20} MiB",
        "size of a picture": f"{prepare.MAX_BYTES >> 20} MiB, {prepare.MAX_PIXELS >> 20} megapixels",
        "digits in one picture": f"{lines.MOST}",
        "time for a body to arrive": f"{api.BODY_SECONDS} s",
        "time for the headers to arrive": f"{protocol.HEADER_SECONDS} s",
        "requests waiting or in work": f"{work.CAPACITY} for each worker, {work.CAPACITY_BYTES >> 20} MiB together",
        "corrections kept": f"{feedback.MOST:,}",
    }.items():
        assert f"| {what} | {limit} |" in text
    assert f"at most {(logs.FILES + 1) * logs.FILE_BYTES >> 20} MiB" in text
    assert f"needs {container.ROOM['cuda']} GB of free disk, or {container.ROOM['cpu']} GB" in text


@example.studied
def test_the_service_uses_the_fastest_runtime_that_keeps_every_label() -> None:
    """As docs/results.md says."""
    found = files.read_json(ROOT / "reports/bench/serving.json")["runtimes"]
    rows = [row for row in found if (row["model"], row["batch"], row["threads"]) == ("champion", 256, 2)]
    rates = {row["runtime"]: row["images_per_second"] for row in rows}
    assert rates["ONNX Runtime"] > rates["PyTorch"]
    assert not any(row["other_labels"] for row in rows if row["runtime"] != "PyTorch, bfloat16")


@example.studied
def test_what_each_idea_is_worth_is_what_the_reports_say() -> None:
    """The statements of docs/tried.md that the study, the record and the ablation bear out."""
    study, record, ablation = (Found(ROOT / "reports" / name) for name in ("", "record", "ablation"))
    assert 0.5 < study.error("conv1") / study.error("fc") < 0.65  # falls by almost half
    assert study.rows["conv2"]["parameters"] < study.rows["conv1"]["parameters"] / 3
    assert study.rows["modern"]["parameters"] < study.rows["conv2_relu"]["parameters"]
    for better, worse in (("conv2", "conv1"), ("conv2_relu", "conv2"), ("conv2_wide", "conv2_relu")):
        assert study.better(better, worse)
    assert record.better("conv2_relu_augmented", "conv2_relu")
    assert not record.differ("conv2", "conv2_relu")
    for found in (study, record):
        assert next(iter(found.rows)).endswith("_vote")
        assert not found.differ("conv2_dropout", "conv2_relu")
        assert not found.rows["conv2_dropout"]["test_corrupted"] > found.rows["conv2_relu"]["test_corrupted"]
    parents = {name: row["parent"] for name, row in ablation.rows.items() if row["parent"]}
    assert [name for name, parent in parents.items() if ablation.differ(name, parent)] == ["conv1_unpooled"]
    for name in ("modern", "conv2_wide"):
        assert ablation.rows[name]["test_corrupted"] > 0.03 + ablation.rows[f"{name}_unerased"]["test_corrupted"]


class Found:
    """A leaderboard, and the pairs of its rows on test."""

    def __init__(self, folder: Path) -> None:
        self.rows = {row["variant"]: row for row in files.read_json(folder / "leaderboard.json")}
        pairs = files.read_json(folder / "comparisons.json")
        self.p = {frozenset([pair["first"], pair["second"]]): pair["p_holm"] for pair in pairs}

    def error(self, name: str) -> float:
        return float(1 - self.rows[name]["test_accuracy"]["mean"])

    def differ(self, one: str, other: str) -> bool:
        return bool(self.p[frozenset([one, other])] < 0.05)

    def better(self, one: str, other: str) -> bool:
        return self.error(one) < self.error(other) and self.differ(one, other)


def test_the_pages_name_targets_that_exist() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert {"ui", "serve", "test", "lint"} <= named <= targets()


def test_make_help_says_what_every_target_does_on_one_screen() -> None:
    lines = command("make", "--no-print-directory", "help").stdout.splitlines()
    assert {match[1] for line in lines if (match := re.match(r".{17}make ([a-z-]+) +\S", line))} == targets() - {"help"}
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert len([line for line in lines if not line.startswith(" ")]) == 6  # groups


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_help_has_an_example_that_it_accepts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    assert capsys.readouterr().out.count(f"digitline {name}") > 1  # the usage, and an example
    for words in COMMANDS[name].examples:
        assert parser().parse_args(shlex.split(words)).command == name


def test_no_file_names_a_folder_of_one_machine() -> None:
    listed = command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout.split("\0")[:-1]
    assert listed
    found = []
    for path in (ROOT / name for name in listed):
        if path.suffix not in {".gz", ".png"} and path.is_file():
            found += [
                (path.name, hit) for hit in re.findall(r"(?<![\w.}])/(?:home|root|work|Users)/\S*", path.read_text())
            ]
    assert found == []


# Plots


def rows(revision: str) -> dict[str, list[dict[str, Any]]]:
    """The output of compare for two variants, in the form that DVC passes to a template."""
    both = [{"variant": name, "rev": revision} for name in ("fc", "conv1")]
    spread = {"mean": 0.98, "sd": 0.01, "ci95": [0.97, 0.99]}
    runs = [{"seed": 1, "val_accuracy": 0.975, "test_accuracy": 0.985}]
    return {
        "leaderboard.json": [{**row, "val_accuracy": spread, "test_accuracy": spread, "runs": runs} for row in both],
        "curves.csv": [
            {**row, "seed": seed, "epoch": epoch, "train_loss": "0.2", "val_loss": "0.3", "val_accuracy": "0.9"}
            for row in both
            for seed in "12"
            for epoch in "123"
        ],
        "confusion.csv": [
            {**row, "actual": actual, "predicted": guess, "count": "98" if actual == guess else "2"}
            for row in both
            for actual in "01"
            for guess in "01"
        ],
        "robustness.csv": [
            {**row, "family": family, "level": level, "accuracy": "0.9"}
            for row in both
            for family in ("noise", "blur")
            for level in ("0", "1")
        ],
        "calibration.csv": [
            {**row, "confidence": point, "accuracy": point, "count": "10"} for row in both for point in ("0.5", "0.9")
        ],
    }


@pytest.mark.parametrize("revisions", [["workspace"], ["workspace", "HEAD"]])
@pytest.mark.parametrize("plot", [entry for entry in yaml("dvc.yaml")["plots"] if isinstance(entry, dict)])
def test_a_plot_draws_every_variant_and_every_revision(plot: dict[str, Any], revisions: list[str]) -> None:
    ((title, options),) = plot.items()
    ((file, y),) = options["y"].items()
    data = [row for revision in revisions for row in rows(revision)[Path(file).name]]
    settings = {**options, "y": y, "title": title, "template_dir": str(ROOT / ".dvc/plots")}
    picture = vl_convert.vegalite_to_svg(VegaRenderer(data, title, **settings).get_filled_template())
    for name in [title, "fc", "conv1", *(revisions if len(revisions) > 1 else [])]:
        assert re.search(rf">[^<]*{re.escape(name)}[^<]*<", picture), name
