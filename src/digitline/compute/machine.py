"""Describes the machine that computed something: machines of one kind compute the same bits."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info

NATIVE = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16"}  # capabilities that multiply bfloat16, the fastest first
LIMIT = "ONEDNN_MAX_CPU_ISA"  # oneDNN's setting; PyTorch's own is in get_cpu_capability


def describe() -> dict[str, Any]:
    """The processor, its highest instruction set, the BLAS kernels in use, and the versions that results depend on."""
    return {
        "processor": processor(),
        "instructions": instructions(),
        "blas": kernels(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name: from /proc/cpuinfo on Linux, else from Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def instructions() -> str:
    """The highest instruction set that PyTorch uses: for bfloat16 if the processor supports it, else for float32."""
    able = torch.cpu.get_capabilities()
    native = (name for capability, name in NATIVE.items() if able.get(capability, False))
    return next(native, torch.backends.cpu.get_cpu_capability())


def kind() -> str:
    """What bits depend on besides code and versions: the GPU, or the processor and the instructions in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    limit = [f"{LIMIT}={os.environ[LIMIT]}"] if LIMIT in os.environ else []
    used = dict.fromkeys([torch.backends.cpu.get_cpu_capability(), instructions()])  # for float32, for bfloat16
    return ", ".join([processor(), *used, *limit])


def kernels() -> list[str]:
    """The loaded BLAS libraries, each with the kernel that it chose for this processor."""
    import scipy.linalg  # noqa: F401  # loads SciPy's own BLAS, so that it is listed

    loaded = (library for library in threadpool_info() if library["user_api"] == "blas")
    return sorted({f"{library['internal_api']} {library.get('architecture', '')}".strip() for library in loaded})


def same_kind(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two machines have the same processor and instruction set; the BLAS kernel does not matter."""
    return all(one[key] == other[key] for key in ("processor", "instructions"))


def words(machine: Mapping[str, Any]) -> str:
    """A machine in one line."""
    return f"{machine['processor']}, {machine['instructions']}, {' and '.join(machine['blas']) or 'no known BLAS'}"
