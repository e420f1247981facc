import pytest

from digitline.model import arithmetic, networks
from tests import example

VARIANTS = example.read().variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_layers_add_up_to_the_network(variant):
    network = networks.build(**VARIANTS[variant].model, classes=10)
    steps = arithmetic.steps(network)
    assert sum(step.parameters for step in steps) == arithmetic.parameters(network)
    assert sum(step.macs for step in steps) == arithmetic.macs(network)


def test_without_shared_weights_each_unit_has_its_own():
    network = networks.build(network="plain", filters=[20], hidden=100, classes=10)
    steps = arithmetic.steps(network)
    assert steps[0].parameters == 20 * (25 + 1)
    assert steps[0].unshared == 20 * 24 * 24 * (25 + 1)
    assert all(step.unshared == step.parameters for step in steps[1:])


def test_the_account_has_the_study_s_arithmetic():
    text = arithmetic.text("conv2", networks.build(network="plain", filters=[20, 40], hidden=100, classes=10))
    for sentence in (
        "28 → 24 → 12 → 8 → 4",
        "640 → 100 → 10",
        "28 - 5 + 1 = 24",
        "40 · (20·5·5 + 1)",
        "20,040",
        "85,670",
    ):
        assert sentence in text
    padded = arithmetic.text("wide", networks.build(network="modern", widths=[4, 4, 4, 4], padded=True, classes=10))
    assert "28 + 2·2 - 5 + 1 = 28" in padded
    assert "7 → 1" in padded
