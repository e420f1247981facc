"""The state of a training as one safetensors file; a resumed training ends in the same bits. No pickle."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from digitline.base import files


class Training(NamedTuple):
    """Everything that the next step depends on, apart from the data."""

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    generator: Generator
    device: torch.device


def save(training: Training, path: Path, epochs: list[Any]) -> None:
    """Writes the state after these epochs, and their records."""
    state = training.optimizer.state_dict()
    tensors = {f"model/{name}": value for name, value in training.model.state_dict().items()}
    tensors |= {f"optimizer/{i}/{name}": value for i, own in state["state"].items() for name, value in own.items()}
    tensors |= {f"random/{name}": value for name, value in random(training).items()}
    rest = {"groups": state["param_groups"], "schedule": training.schedule.state_dict(), "epochs": epochs}
    content = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    files.write(path, serialise(content, metadata={"rest": json.dumps(rest)}))


def load(training: Training, path: Path) -> list[Any]:
    """Restores the training; returns the records of its epochs, empty if there is no valid file."""
    try:
        with safe_open(path, "pt") as file:
            rest = json.loads(file.metadata()["rest"])
        tensors = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return []
    training.model.load_state_dict(under("model", tensors))
    parameters = [parameter for group in training.optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in under("optimizer", tensors).items():
        place, _, key = name.partition("/")
        state.setdefault(int(place), {})[key] = laid(value, parameters[int(place)])
    training.optimizer.load_state_dict({"state": state, "param_groups": rest["groups"]})
    training.schedule.load_state_dict(rest["schedule"])
    training.generator.set_state(tensors["random/generator"])
    torch.set_rng_state(tensors["random/torch"])
    if training.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], training.device)
    epochs: list[Any] = rest["epochs"]
    return epochs


def laid(value: Tensor, like: Tensor) -> Tensor:
    """The value in the memory layout of its parameter, which the optimiser goes through side by side."""
    return torch.empty_like(like, device=value.device).copy_(value) if value.shape == like.shape else value


def random(training: Training) -> dict[str, Tensor]:
    """The states of the random generators: for order and augmentation, and for dropout."""
    states = {"generator": training.generator.get_state(), "torch": torch.get_rng_state()}
    if training.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(training.device)
    return states


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names have that prefix, named without it."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}
