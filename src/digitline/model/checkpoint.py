"""A model as one safetensors file: its weights and how to build the network they belong to. No pickle."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import nn

from digitline.base import files
from digitline.base.errors import InputError
from digitline.model import networks


def save(model: nn.Module, path: Path, **network: Any) -> None:
    """Writes the weights of the network that `networks.build(**network)` builds."""
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    # One key: safetensors keeps several in no fixed order, and the file's bytes are the model's identity.
    files.write(path, serialise(weights, metadata={"network": json.dumps(network, sort_keys=True)}))


def load(path: Path) -> nn.Module:
    """Builds the network and loads its weights, in evaluation mode; InputError where the file is no such model."""
    network = described(path)
    try:
        model = networks.build(**network)
        model.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not a model of digitline: {error}") from error
    return model.eval()


def described(path: Path) -> dict[str, Any]:
    """The arguments of `networks.build` for the network of this file; InputError where the file is no such model."""
    try:
        with safe_open(path, "pt") as file:
            network: dict[str, Any] = json.loads(file.metadata()["network"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a model of digitline: {error}") from error
    return network


def vote(members: Sequence[Path], path: Path) -> None:
    """Writes several models as one that takes the mean of their probabilities."""
    model = networks.Vote(members=[described(member) for member in members])
    for network, member in zip(model.members, members, strict=True):
        network.load_state_dict(load_file(member))
    save(model, path, network="vote", members=[described(member) for member in members])
