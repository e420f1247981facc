"""A model as one safetensors file: its weights and the arguments to build its network. No pickle."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import nn

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.model import networks


def save(model: nn.Module, path: Path, **network: Any) -> None:
    """Writes the weights of a network built by `networks.build(**network)`."""
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    # A single key, because safetensors stores several in no fixed order and the file's bytes are the model's identity.
    files.write(path, serialise(weights, metadata={"network": json.dumps(network, sort_keys=True)}))


def load(path: Path) -> nn.Module:
    """Builds the network and loads its weights, in evaluation mode; InputError if the file is not a model."""
    network = described(path)
    try:
        model = networks.build(**network)
        model.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not a digitline model: {error}") from error
    return model.eval()


def described(path: Path) -> dict[str, Any]:
    """The arguments of `networks.build` for the network in the file; InputError if the file is not a model."""
    try:
        with safe_open(path, "pt") as file:
            network: dict[str, Any] = json.loads(file.metadata()["network"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a digitline model: {error}") from error
    return network


def start(model: nn.Module, path: Path, sha256: str) -> list[str]:
    """Loads the weights whose names and shapes fit; returns the names of the model's others, which stay as drawn.

    InputError if the file is missing, has another SHA-256, or no weight in it fits.
    """
    found = digest(path) if path.is_file() else "none: the file is missing"
    if found != sha256:
        raise InputError(f"{path} has SHA-256 {found}, expected {sha256}; run dvc pull {path} or change start")
    own, given = model.state_dict(), load_file(path)
    fitting = {name: given[name] for name, value in own.items() if name in given and given[name].shape == value.shape}
    if not fitting:
        raise InputError(f"{path} has no weight of the shape of this network's, expected a model of a similar one")
    model.load_state_dict({**own, **fitting})
    return [name for name in own if name not in fitting]


def vote(members: Sequence[Path], path: Path) -> None:
    """Writes several models as one that averages their probabilities."""
    model = networks.Vote(members=[described(member) for member in members])
    for network, member in zip(model.members, members, strict=True):
        network.load_state_dict(load_file(member))
    save(model, path, network="vote", members=[described(member) for member in members])
