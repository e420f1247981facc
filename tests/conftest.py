import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from digitline.base.loopback import bypass_proxy
from digitline.data import prepare, sources
from digitline.data.dataset import Bytes, Dataset, Part
from digitline.data.entry import Shape
from tests import example, warm

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ASKED = {
    "container": "The container image was not tested: make container-test builds and runs it.",
    "cluster": "Clusters were not tested: make cluster-test installs Ray and starts nodes.",
}  # markers of tests that run only when asked for

FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it

LONGEST = ("test_lifecycle.py", "test_experiments.py", "test_views.py", "test_reruns.py", "test_branches.py")

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first one starts fastest

bypass_proxy()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the container's and the cluster's tests unless requested, for what they need besides."""
    left_out = [item for item in items for name in ASKED if item.get_closest_marker(name) and asked(config) != name]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Starts the workers as forks, because what they import takes each of them longer than most tests."""
    for spec in specs:
        spec.python = f"{shlex.quote(str(warm.folder()))}/python -m tests.worker"


def turn(item: pytest.Item) -> int:
    """When a file has its turn: what all of the pipeline's tests wait for is made first, while others have theirs."""
    if item.path.name in ("test_whole.py", "test_promotion.py"):
        return 0
    if item.path.parent.name != "pipeline":
        return 1
    # So that no process still has a long one when the others have ended.
    return 2 + (LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Mentions, after a run of all tests, what was not tested."""
    if config.args_source == pytest.Config.ArgsSource.TESTPATHS and asked(config) not in ASKED:
        for line in ASKED.values():
            terminalreporter.write_line(line)


def asked(config: pytest.Config) -> str:
    """The marker that the command line asks for."""
    return str(config.getoption("markexpr"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As in the pipeline: threads of several processes on few cores would wait for each other."""
    import torch  # it takes seconds, and pytest's own process, for whose workers this is, runs no test

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder shared by all processes of one test run; take a lock to make something in it."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def tables(run_folder: Path) -> Path:
    """A database with MLflow's tables, which take seconds to create, once for all test processes."""
    from mlflow import MlflowClient  # seconds, which pytest's own process need not take

    path = run_folder / "tables.db"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            making = path.with_suffix(".new")
            MlflowClient(f"sqlite:///{making}").search_experiments()
            making.rename(path)
    return path


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """All of MNIST, from the bundled copy."""
    read = example.read()
    given = {"name": read.dataset, **read.source}
    return sources.fetch([Path("data/mnist")], len(read.classes), read.image, report=lambda line: None, **given)


@pytest.fixture(scope="session")
def digits(mnist: Dataset) -> Dataset:
    """A few hundred real digits."""
    sizes = zip(mnist, (1000, 200), strict=True)
    return Dataset(*(Part(part.images[:size].copy(), part.labels[:size].copy()) for part, size in sizes))


@pytest.fixture(scope="session")
def photos() -> Dataset:
    """Colour pictures of 20x24 pixels in three classes, each of which has a colour of its own."""
    random = np.random.default_rng(0)

    def part(size: int) -> Part:
        labels = np.arange(size, dtype=np.uint8) % 3
        images = random.integers(0, 128, (size, 20, 24, 3), np.uint8)
        images[np.arange(size), :, :, labels] += 100
        return Part(images, labels)

    return Dataset(part(120), part(30))


@pytest.fixture(scope="session")
def fashion() -> Dataset:
    """All of Fashion-MNIST, by its entry."""
    if not FASHION.exists():
        pytest.skip("there is no Fashion-MNIST; apt-get install dataset-fashion-mnist")  # CI has it
    own = example.entry("fashion")
    given = {"name": "fashion", **own["source"], "mirrors": []}
    return sources.fetch([FASHION], len(own["classes"]), Shape(**own["image"]), report=lambda line: None, **given)


@pytest.fixture(scope="session")
def drawings(mnist: Dataset) -> Bytes:
    """Six images like prepared drawings: similar, but not equal, to images of the data set."""
    sheets = [Image.fromarray(255 - image).resize((280, 280)) for image in mnist.test.images[5000:5006]]
    return np.stack([prepare.prepare(sheet) for sheet in sheets])


@pytest.fixture(scope="module")  # it keeps an event loop running, which disturbs other tests
def browser() -> Iterator["Browser"]:
    """A real browser that makes no requests of its own and has a camera that shows a clock."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("there is no Chromium or Chrome")  # CI has one
    with sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-background-networking", *camera]
        )
        yield browser
        browser.close()
