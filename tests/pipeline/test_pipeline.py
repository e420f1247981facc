"""The real line, driven by the real dvc, on a real part of MNIST in a copy of this checkout."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from digitline.data.dataset import Dataset, Part
from digitline.data.sources import ROLES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
OF_THE_STUDY = ("data/mnist/", "dvc.lock", "promotions.jsonl")
SUBSET = {"train": 2000, "test": 500}
YAML_FILE = YAML()
COMMIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qam", "as it is"]


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for name in ("MLFLOW_TRACKING_URI", "DIGITLINE_DATA", "PYTHONPATH", "PYTHONWARNINGS"):
        env.pop(name, None)
    return subprocess.run(words, cwd=cwd, env=env | environment, capture_output=True, text=True, check=False)


def idx(array) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + bytes(array.tobytes())


def edit(clone: Path, change) -> None:
    tree = YAML_FILE.load(clone / "params.yaml")
    change(tree)
    YAML_FILE.dump(tree, clone / "params.yaml")


class Line:
    """A checkout of its own with a small data set and two small variants."""

    def __init__(self, folder: Path, mnist: Dataset) -> None:
        self.folder = folder
        self.home = folder.with_suffix(".bentoml")
        names = command("git", "ls-files", "-co", "--exclude-standard", cwd=HERE).stdout.split("\n")
        for name in names:
            if name and not name.startswith(OF_THE_STUDY) and (HERE / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(HERE / name, folder / name)
        files = self.files(mnist)
        edit(folder, lambda tree: self.shrink(tree, files))
        for words in (["git", "init", "-q"], ["git", "add", "-A"], COMMIT):
            assert command(*words, cwd=folder).returncode == 0

    def files(self, mnist: Dataset) -> dict[str, str]:
        parts = [Part(part.images[:n], part.labels[:n]) for part, n in zip(mnist, SUBSET.values(), strict=True)]
        arrays = dict(zip(ROLES, (array for part in parts for array in part), strict=True))
        (self.folder / "data/few").mkdir(parents=True)
        for name, array in arrays.items():
            (self.folder / f"data/few/{name}.gz").write_bytes(gzip.compress(idx(array)))
        return {name: hashlib.sha256(idx(array)).hexdigest() for name, array in arrays.items()}

    def shrink(self, tree, files) -> None:
        tree["dataset"] = "few"
        classes = list(tree["datasets"]["mnist"]["classes"])
        tree["datasets"]["few"] = {"classes": classes, "files": files, "mirrors": [], "bounds": {"images": SUBSET}}
        tree["seeds"] = [1, 2]
        tree["split"]["validation"] = 400
        tree["variants"] = {name: tree["variants"][name] for name in ("fc", "conv1")}
        for variant in tree["variants"].values():
            variant["epochs"] = 2
        tree["votes"] = ["conv1"]
        tree["robustness"]["images"] = 50
        tree["ideas"].update(images=300, epochs=1)
        tree["gate"].update(minimum_accuracy=0.1, latency_ms=1000)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(*words, cwd=self.folder, BENTOML_HOME=str(self.home))

    def json(self, name: str):
        return json.loads((self.folder / name).read_text())

    def ran(self, outcome: subprocess.CompletedProcess[str]) -> list[str]:
        return [line.split("'")[1] for line in outcome.stdout.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def line(tmp_path_factory, mnist) -> Line:
    line = Line(tmp_path_factory.mktemp("line") / "clone", mnist)
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return line


def test_the_whole_line_runs_on_another_data_set(line):
    rows = line.json("reports/leaderboard.json")
    assert {row["variant"] for row in rows} == {"fc", "conv1", "conv1_vote"}
    accuracies = [row["val_accuracy"]["mean"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.5
    assert rows[0]["seeds"] == [1, 2]
    assert line.json("reports/validation.json")["success"]


def test_the_champion_is_the_leader_in_all_three_places(line):
    card, leader = line.json("models/champion/model.json"), line.json("reports/leaderboard.json")[0]
    assert card["variant"] == leader["variant"]
    assert card["sha256"] in [run["sha256"] for run in leader["runs"]]
    assert (
        hashlib.sha256((line.folder / "models/champion/model.safetensors").read_bytes()).hexdigest() == card["sha256"]
    )
    alias = (
        "from mlflow import MlflowClient; c = MlflowClient('sqlite:///mlflow.db');"
        "print(c.get_model_version_by_alias('digitline', 'champion').tags['sha256'])"
    )
    assert line.run("python", "-c", alias).stdout.strip() == card["sha256"]
    stored = line.run("bentoml", "models", "get", f"digitline:{card['sha256'][:16]}", "-o", "json")
    labels = json.loads(stored.stdout)["labels"]
    assert labels["sha256"] == card["sha256"]
    assert (labels["mlflow_version"], labels["validation"]) == ("1", "passed")
    assert labels["git_commit"] == line.run("git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def site(line) -> Path:
    """The site of the line's study, in whose leaderboard one row was another in the last commit."""
    board = line.json("reports/leaderboard.json")
    board[0]["test_accuracy"]["mean"] -= 0.01
    committed = json.dumps(board[:-1]), (line.folder / "reports/leaderboard.json").read_text()
    (line.folder / "reports/leaderboard.json").write_text(committed[0])
    assert command(*COMMIT, cwd=line.folder).returncode == 0
    (line.folder / "reports/leaderboard.json").write_text(committed[1])
    outcome = line.run("python", "-m", "pipeline.report")
    assert outcome.returncode == 0, outcome.stderr
    return Path(line.folder, "reports/site")


def test_every_variant_is_looked_into_and_mlflow_has_the_figures(line):
    told = line.json("reports/insight.json")
    assert list(told) == ["fc", "conv1"]
    assert told["conv1"]["filters"][0] == {"filters": 20, "inputs": 1, "side": 5, "shown": 20, "field": 6}
    assert told["conv1"]["layers"][0] == {"layer": "convolution 5x5, 20 filters", "parameters": 520, "unshared": 299520}
    names = {path.name for path in (line.folder / "reports/insight/conv1").iterdir()}
    drawn = {name for name in names if name.endswith(".svg")}
    assert drawn == {
        f"{name}.svg"
        for name in (
            "weights-1",
            "exciting-1",
            "maps-1",
            "evidence",
            "components",
            "neighbours",
            "confusions",
            "answers",
        )
    }
    assert names - drawn == {name.replace(".svg", ".csv") for name in drawn}
    listed = (
        "from mlflow import MlflowClient; c = MlflowClient('sqlite:///mlflow.db');"
        "e = c.get_experiment_by_name('few') or c.search_experiments()[0];"
        "r = c.search_runs([e.experiment_id], \"tags.level = 'variant' and tags.variant = 'conv1'\")[0];"
        "print(*(f.path.removeprefix('insight/') for f in c.list_artifacts(r.info.run_id, 'insight')))"
    )
    assert set(line.run("python", "-c", listed).stdout.split()) == names


def test_the_ideas_are_measured(line):
    told = line.json("reports/ideas/ideas.json")
    assert set(told["pooling"]) == {"fully connected", "convolution", "convolution and pooling"}
    assert told["settings"] == {"images": 300, "epochs": 1, "seeds": 2, "measured_on": 1000}
    assert told["gradients"]["sigmoid"]["last_to_first"] > 100 > told["gradients"]["ReLU"]["last_to_first"]
    for name in ("pooling", "dropout", "gradients"):
        assert "<path" in (line.folder / f"reports/ideas/{name}.svg").read_text()
        assert len((line.folder / f"reports/ideas/{name}.csv").read_text().splitlines()) > 4


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_site_opens_from_disk_asks_for_nothing_and_fits_the_screen(site, browser, width, scheme):
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        page, troubles, asked = context.new_page(), [], []
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for path in (site / "index.html", site / "variants/conv1.html", site / "variants/conv1_vote.html"):
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            broken = "[...document.images].filter(one => one.loading != 'lazy' && !one.naturalWidth).length"
            assert page.evaluate(broken) == 0
            empty = "[...document.querySelectorAll('figure svg')].filter(one => !one.getBBox().width).length"
            assert page.evaluate(empty) == 0
        assert not troubles
        assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []


def test_a_variant_is_singled_out_in_every_curve(site, browser):
    with browser.new_context(viewport={"width": 1000, "height": 800}) as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        page.locator("label", has_text="conv1_vote").click()
        shades = page.evaluate(
            "[...document.querySelectorAll('.of')].map(one => [one.classList[1], getComputedStyle(one).opacity])"
        )
        assert {name for name, opacity in shades if opacity == "1"} == {"conv1_vote"}
        assert {name for name, _ in shades} == {"fc", "conv1", "conv1_vote"}


def test_the_numbers_on_the_page_are_those_of_the_reports(line, site, browser):
    board, ideas = line.json("reports/leaderboard.json"), line.json("reports/ideas/ideas.json")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        for row in board:
            cells = page.locator(f"#leaderboard tr[data-variant={row['variant']}] td").all_inner_texts()
            assert cells[0].strip() == row["variant"]
            assert cells[1].split()[0] == f"{100 * row['val_accuracy']['mean']:.2f}"
            assert cells[2].split()[0] == f"{100 * row['test_accuracy']['mean']:.2f}"
            assert cells[4:7] == [row["group"], f"{100 * row['test_corrupted']:.1f}", f"{row['parameters']:,}"]
        text = " ".join(page.locator("main").inner_text().split())
        assert f"right in {ideas['pooling']['convolution and pooling']['2']} %" in text
        assert line.json("models/champion/model.json")["sha256"] in text
        changed = page.locator("#difference ~ .scroll tr").all_inner_texts()
        assert [line.split()[0] for line in changed[1:]] == [board[0]["variant"], board[-1]["variant"]]
        assert "+1.00" in changed[1]
        assert "new" in changed[2]


def test_what_a_page_links_to_is_there_and_lies_within_the_site(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', text) if not link.startswith(("#", "data:"))]
        if page.name != "data_docs.html":
            assert len(links) > 5
        for link in links:
            target = (page.parent / link.split("#")[0]).resolve()
            assert target.is_file(), link
            assert target.is_relative_to(site.resolve())
        assert not re.search(r"(?:url\(|@import |src=)[\"']?https?:", text)


def test_every_chart_has_its_numbers(site):
    for page in (site / "index.html", site / "variants/conv1.html"):
        for figure in re.findall(r"<figure>.*?</figure>", page.read_text(), re.DOTALL):
            if "Accuracy by " not in figure:  # the small ones share a file, named below them
                assert re.search(r'href="[^"]+\.csv"', figure), figure[:300]
    assert all(len(path.read_text().splitlines()) > 1 for path in site.rglob("*.csv"))


def test_a_second_run_does_nothing(line):
    lock = (line.folder / "dvc.lock").read_bytes()
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0
    assert not line.ran(outcome)
    assert (line.folder / "dvc.lock").read_bytes() == lock


def test_a_fresh_checkout_ends_with_the_same_lock(line, tmp_path_factory, mnist):
    other = Line(tmp_path_factory.mktemp("other") / "clone", mnist)
    shutil.copy(line.folder / "promotions.jsonl", other.folder)
    assert other.run("dvc", "repro").returncode == 0
    [entry] = (other.folder / "promotions.jsonl").read_text().splitlines()  # which names that very champion
    assert json.loads(entry)["to"] == other.json("models/champion/model.json")["sha256"]
    assert (other.folder / "dvc.lock").read_text() == (line.folder / "dvc.lock").read_text()


def test_a_failing_gate_keeps_the_champion_and_says_why(line):
    champion = line.json("models/champion/model.json")
    edit(line.folder, lambda tree: tree["gate"].update(minimum_accuracy=0.9999))
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert "did not pass the gate: validation accuracy" in outcome.stdout
    assert line.ran(outcome) == ["promote"]
    assert line.json("models/champion/model.json") == champion
    edit(line.folder, lambda tree: tree["gate"].update(minimum_accuracy=0.1))
    assert line.run("dvc", "repro").returncode == 0


def test_an_edit_of_one_variant_reruns_only_its_stages(line):
    edit(line.folder, lambda tree: tree["variants"]["conv1"].update(epochs=3))
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert line.ran(outcome) == ["train@conv1", "evaluate@conv1", "vote@conv1", "insight", "compare", "promote"]


def left(line) -> list[int]:
    """The processes that work in the checkout."""
    running = (
        p.info for p in psutil.process_iter(["pid", "cwd", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE
    )
    return [process["pid"] for process in running if process["cwd"] == str(line.folder)]


def test_after_a_kill_nothing_is_left_running_and_training_goes_on_to_the_same_bits(line):
    edit(line.folder, lambda tree: tree["variants"]["conv1"].update(epochs=8))
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "BENTOML_HOME": str(line.home)}
    kept = line.folder / "models/unfinished/conv1"
    with subprocess.Popen(["dvc", "repro"], cwd=line.folder, env=env, stdout=subprocess.DEVNULL) as dvc:
        deadline = time.monotonic() + 120
        while len(list(kept.glob("*.safetensors"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        dvc.kill()
    while left(line) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left(line)
    stood = {path.name for path in kept.iterdir()}
    assert len([name for name in stood if name.endswith(".safetensors")]) == 2
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert not kept.exists()
    lock, curves = (line.folder / "dvc.lock").read_bytes(), (line.folder / "reports/curves/conv1.csv").read_bytes()
    assert line.run("dvc", "repro", "-f", "-s", "train@conv1").returncode == 0
    assert (line.folder / "dvc.lock").read_bytes() == lock
    assert (line.folder / "reports/curves/conv1.csv").read_bytes() == curves


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tree: tree["variants"]["conv1"].update(epohcs=3), "variants.conv1.epohcs is not known"),
        (lambda tree: tree["variants"]["conv1"]["model"].update(activation="rleu"), "activation is 'rleu'"),
        (lambda tree: tree["split"].update(validation=0), "split.validation is 0, expected greater than 0"),
    ],
)
def test_a_slip_in_params_ends_in_one_sentence_and_touches_nothing(line, change, sentence):
    params, champion = (line.folder / "params.yaml").read_bytes(), line.json("models/champion/model.json")
    edit(line.folder, change)
    outcome = line.run("dvc", "repro")
    (line.folder / "params.yaml").write_bytes(params)
    assert outcome.returncode != 0
    assert sentence in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert line.json("models/champion/model.json") == champion
    assert line.run("dvc", "repro").returncode == 0


def test_an_unknown_variant_is_refused_by_name(line):
    outcome = line.run("python", "-m", "pipeline.train", "conv3")
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == "error: the variant is 'conv3'; did you mean 'conv1'?"
