"""Settings, workflows and README agree with the code."""

import ast
import json
import os
import re
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

from digitline.cli.leaderboard import TABLES
from digitline.cli.results import marked
from service.work import CAPACITY

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
OURS = ("benchmarks", "pipeline", "scripts", "service", "studies", "tests")
CODE = [path for folder in ("src", *OURS) for path in (ROOT / folder).rglob("*.py")]
README = (ROOT / "README.md").read_text()
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
    assert {name for name in foreign if not {canonical(one) for one in providers[name]} & set(pins())} == set()


# Set-up


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_setup_without_a_supported_python_names_the_supported_ones(python: str) -> None:
    done = command("sh", "scripts/setup.sh", PYTHON=python)
    assert done.returncode == 1
    assert done.stderr == (f"error: none of {python} is Python 3.11, 3.12 or 3.13; run make PYTHON=/path/to/python\n")


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


# Workflows


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", WORKFLOWS), ("vendor.dependabot", [ROOT / ".github/dependabot.yml"])],
)
def test_github_s_schema_accepts_the_file(schema: str, files: list[Path]) -> None:
    done = command(BIN / "check-jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout


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


# README


def test_readme_s_tables_are_the_leaderboards() -> None:
    for name, (draw, folder) in TABLES.items():
        assert marked(README, name)[1].strip() == draw(ROOT / folder)


def test_readme_s_speeds_are_the_benchmark_s() -> None:
    found = json.loads((ROOT / "reports/bench/training.json").read_text())
    seconds = found["seconds"]
    sentence = f"{seconds['ours']:.1f} s against {seconds['usual']:.1f} s, {found['times_faster']:.1f} times as fast"
    assert sentence in " ".join(README.split())
    assert f"{found['times_the_floor']:.1f} times what the multiply-adds alone" in README


def test_readme_s_limits_of_the_service_are_the_benchmark_s() -> None:
    found = json.loads((ROOT / "reports/bench/serving.json").read_text())
    steady, over, memory = found["at_70_percent"], found["at_150_percent"], found["memory"]
    one, many = (row["images_per_second"] for row in found["batching"] if row["callers"] == CAPACITY)
    for words in (
        f"{CAPACITY} callers at once get {many / one:.1f} times as many",
        f"is ready {found['ready']['seconds']:.1f} s after its start",
        f"takes {steady['p99_ms'] / steady['p50_ms']:.1f} times the median",
        f"answers {over['answered_of_capacity']:.0%} of capacity, the 99th of 100 within {over['p99_ms']:.0f} ms",
        f"refuses the rest in {over['refused_p50_ms']:.0f} ms",
        f"its memory grows by {memory['grown_bytes'] / 1e6:.1f} MB",
    ):
        assert words in " ".join(README.split())
    champion = [row for row in found["runtimes"] if row["model"] == "champion"]
    rates = {row["runtime"]: row["images_per_second"] for row in champion if (row["batch"], row["threads"]) == (256, 2)}
    assert round(rates["PyTorch, bfloat16"] / rates["ONNX Runtime"], 1) == 1.1  # a tenth ahead
    assert rates["ONNX Runtime"] > rates["PyTorch"]
    assert not any(row["other_labels"] for row in champion if row["runtime"] != "PyTorch, bfloat16")


def test_readme_s_trials_are_the_champion_s() -> None:
    found = json.loads((ROOT / "reports/trials.json").read_text())
    mnist, doubted = found["mnist"], found["doubted"]
    sentence = f"right in {mnist['sheets']:.2%} ({mnist['raw']:.2%} as they are)"
    strangers = f"letters {doubted['letters']:.1%} are doubted, of random scribbles {doubted['scribbles']:.1%}"
    digits = f"of MNIST's test digits {doubted['digits']:.1%}"
    low, high = found["corrupted"]["interval"]
    changed = f"in {found['corrupted']['mean']:.1%} (95% interval over images {low:.1%} to {high:.1%})"
    for words in (sentence, f"in {found['scikit_learn']['sheets']:.1%}", strangers, digits, changed):
        assert words in " ".join(README.split())


def test_readme_s_tree_names_existing_files_and_every_wing() -> None:
    block = README.split("```text\n")[1].split("```")[0]
    named, folder = set(), ""
    for line in block.splitlines():
        name = line.split()[0]
        folder = name if not line.startswith(" ") and name.endswith("/") else folder
        named.add(folder + name if line.startswith(" ") else name)
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert {
        str(path.parent.relative_to(ROOT)) + "/" for path in (ROOT / "src/digitline").glob("*/__init__.py")
    } <= named


def test_readme_and_contributing_name_targets_that_exist() -> None:
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE))
    assert {"ui", "serve", "test", "lint"} <= named <= targets()


def test_make_help_says_what_every_target_does() -> None:
    shown = re.findall(r"^make ([a-z-]+) +\S", command("make", "help").stdout, re.MULTILINE)
    assert set(shown) == targets()


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
