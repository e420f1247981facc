"""The structure of the code: the order of the wings, unique names, true dependencies in dvc.yaml."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from digitline.config import code

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "src/digitline"
# A module imports only from its own wing and from wings above it.
WINGS = ["base", "data", "compute", "model", "measure", "draw", "explain", "serving", "tracking", "registry", "report"]
WINGS += ["config", "cli"]
STAGES = ["fetch", "validate", "train", "evaluate", "vote", "compare", "promote", "figures", "insight", "ideas"]
# Code that cannot change an output is not a dependency of a stage, nor is code that is reached only through it.
EXEMPT = {
    "src/digitline/base": "errors and files: it writes outputs but does not compute them",
    "src/digitline/tracking": "MLflow records what the files say",
    "src/digitline/compute": "the number of cores and processes does not change a bit",
    "src/digitline/config": "paths, and params.yaml, whose keys are the stages' parameters in DVC",
    "src/digitline/cli/entry.py": "the entry point of a stage",
    "src/digitline/cli/runs.py": "MLflow records what the files say",
    "src/digitline/data/entry.py": "keys of params.yaml",
    "src/digitline/model/recipe.py": "keys of params.yaml",
    "src/digitline/registry/limits.py": "keys of params.yaml",
}
HEAVY = {"torch", "scipy", "sklearn", "pandas", "matplotlib", "mlflow", "bentoml", "great_expectations", "dvc"}


def modules(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py"]


def found(name: str) -> Path | None:
    """The file of one of our modules, by its full name."""
    folder = ROOT / "src" if name.startswith("digitline") else ROOT
    path = folder / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


@cache
def imported(file: Path) -> frozenset[Path]:
    """Our files that a file imports, at its top or within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name for name in names if name.partition(".")[0] in ("digitline", "pipeline")}
    return frozenset(path for name in ours if (path := found(name)) and has_code(path))


def has_code(file: Path) -> bool:
    """Whether the file has more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text()).body)


def exempt(file: Path) -> bool:
    return any(file.is_relative_to(ROOT / place) for place in EXEMPT)


def closure(script: Path) -> set[Path]:
    """The files that a script imports, directly or indirectly; exempt files are not followed."""
    seen, waiting = {script}, [script]
    while waiting:
        for path in imported(waiting.pop()) - seen:
            if not exempt(path):
                seen.add(path)
                waiting.append(path)
    return {path for path in seen if path.name != "__init__.py"}


def scripts() -> Iterator[tuple[str, Path]]:
    for stage in STAGES:
        yield stage, ROOT / f"pipeline/{'evaluate' if stage == 'vote' else stage}.py"


def test_the_wings_are_those_of_the_plan() -> None:
    folders = {path.name for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(WINGS)
    assert not modules_outside_of_wings()


def modules_outside_of_wings() -> list[Path]:
    return [path for path in LIBRARY.glob("*.py") if path.name != "__init__.py"]


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_from_itself_and_from_wings_above(wing: str) -> None:
    allowed = {LIBRARY / name for name in WINGS[: WINGS.index(wing) + 1]}
    for file in [*modules(LIBRARY / wing), LIBRARY / wing / "__init__.py"]:
        below = {path for path in imported(file) if not any(path.is_relative_to(place) for place in allowed)}
        assert below == set(), f"{file} imports from below"


def test_a_name_stands_once_among_wings_modules_and_scripts() -> None:
    folders = ["pipeline", "service", "scripts", "benchmarks", "studies"]
    files = [path for wing in WINGS if wing != "cli" for path in modules(LIBRARY / wing)]
    files += [path for folder in folders for path in modules(ROOT / folder)]
    names = [*WINGS, *(path.stem for path in files)]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == set()


def test_pipeline_has_only_the_stages() -> None:
    assert {path.stem for path in modules(ROOT / "pipeline")} == set(STAGES) - {"vote"}


@pytest.mark.parametrize(("stage", "script"), scripts())
def test_dvc_yaml_lists_exactly_what_a_stage_imports(stage: str, script: Path) -> None:
    listed = [ROOT / path for path in code.listed(stage, ROOT / "dvc.yaml")]
    files = closure(script)
    missing = {str(file) for file in files if not any(file.is_relative_to(path) for path in listed)}
    assert missing == set(), f"{stage} imports what it does not list"
    idle = {str(path) for path in listed if not any(file.is_relative_to(path) for file in files)}
    assert idle == set(), f"{stage} lists what it does not import"


def test_each_exemption_exists_and_is_needed() -> None:
    reached = {path for _, script in scripts() for file in closure(script) for path in imported(file)}
    for place in EXEMPT:
        assert any(path.is_relative_to(ROOT / place) for path in reached), place


def test_drawing_is_no_dependency_of_training_and_evaluation() -> None:
    for stage in ("train", "evaluate", "vote", "compare"):
        assert not [file for file in closure(dict(scripts())[stage]) if "/draw/" in str(file)]


@pytest.mark.parametrize("script", ["pipeline.fetch", "digitline.cli.main", "digitline.config.params"])
def test_scripts_without_need_import_no_heavy_library(script: str) -> None:
    words = f"import sys; before = set(sys.modules); import {script}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} & HEAVY == set()


def test_a_test_is_in_the_folder_of_its_module() -> None:
    for path in (ROOT / "tests").glob("*/"):
        if path.name != "__pycache__":
            assert path.name in {*WINGS, "pipeline", "service", "deploy", "scripts", "benchmarks", "studies"}


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for file in [*modules(ROOT / "src"), *modules(ROOT / "pipeline"), *modules(ROOT / "service")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "openapi":
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 55:
                    long.append((file.name, node.name, length))
    assert long == []
