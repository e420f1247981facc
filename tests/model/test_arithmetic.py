import subprocess
import sys
from pathlib import Path

import pytest

from digitline.config import params
from digitline.model import arithmetic, networks

ROOT = Path(__file__).parents[1]
VARIANTS = params.read(ROOT / "params.yaml").variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_layers_add_up_to_the_network(variant):
    network = networks.build(**VARIANTS[variant].model, classes=10)
    steps = arithmetic.steps(network)
    assert sum(step.parameters for step in steps) == networks.parameters(network)
    assert sum(step.macs for step in steps) == networks.macs(network)


def test_without_shared_weights_each_unit_has_its_own():
    network = networks.build(network="plain", filters=[20], hidden=100, classes=10)
    steps = arithmetic.steps(network)
    assert steps[0].parameters == 20 * (25 + 1)
    assert steps[0].unshared == 20 * 24 * 24 * (25 + 1)
    assert all(step.unshared == step.parameters for step in steps[1:])


def test_the_account_tells_the_study_s_arithmetic():
    told = arithmetic.text("conv2", networks.build(network="plain", filters=[20, 40], hidden=100, classes=10))
    for sentence in (
        "28 → 24 → 12 → 8 → 4",
        "640 → 100 → 10",
        "28 - 5 + 1 = 24",
        "40 · (20·5·5 + 1)",
        "20,040",
        "85,670",
    ):
        assert sentence in told
    padded = arithmetic.text("wide", networks.build(network="modern", widths=[4, 4, 4, 4], padded=True, classes=10))
    assert "28 + 2·2 - 5 + 1 = 28" in padded
    assert "7 → 1" in padded


def explore(*words: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "pipeline.explore", *words)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_explore_tells_of_the_variant_named_and_of_all_if_none_is():
    assert explore("conv1").stdout.splitlines()[0] == "conv1"
    told = explore().stdout
    assert [line for line in told.splitlines() if line and not line.startswith(" ")] == list(VARIANTS)


def test_explore_refuses_a_name_that_is_no_variant_in_one_sentence():
    done = explore("conv3")
    assert done.returncode == 1
    assert done.stderr == "error: the variant is 'conv3'; did you mean 'conv2'?\n"
