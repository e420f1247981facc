import pytest
import torch

from digitline.compute import machine


@pytest.mark.parametrize(
    ("able", "highest"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, "AMX"),
        ({"avx512_bf16": True, "amx_bf16": False}, "AVX512_BF16"),
        ({}, "AVX2"),
    ],
)
def test_the_instruction_set_is_that_for_bfloat16_or_else_torch_s(
    able: dict[str, bool], highest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert machine.instructions() == highest


def test_processor_and_instructions_define_a_machine_s_kind_and_the_kernel_does_not() -> None:
    here = machine.describe()
    assert machine.same_kind(here, here | {"blas": ["openblas Zen"], "cores": 96})
    assert not machine.same_kind(here, here | {"instructions": "none"})
    assert not machine.same_kind(here, here | {"processor": "abacus"})


def test_the_kernel_is_named_beside_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [
        {"user_api": "blas", "internal_api": "openblas", "architecture": "Haswell"},
        {"user_api": "blas", "internal_api": "openblas", "architecture": "Haswell"},
        {"user_api": "openmp", "internal_api": "openmp"},
    ]
    monkeypatch.setattr(machine, "threadpool_info", lambda: loaded)
    assert machine.words(machine.describe()).endswith(", openblas Haswell")
