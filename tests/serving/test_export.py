"""A model is exported as one file: the same bytes everywhere, with one output, and checked against the model."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from digitline.base.errors import InputError
from digitline.data.dataset import Dataset
from digitline.explain import activations
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.serving import export
from digitline.serving.inspection import Inspection

PLAIN: dict[str, Any] = {"network": "plain", "filters": [4, 6], "hidden": 8, "activation": "relu", "classes": 10}
MODERN: dict[str, Any] = {"network": "modern", "widths": [4, 6, 8, 10], "padded": True, "classes": 10}
RESIDUAL: dict[str, Any] = {"network": "residual", "widths": [4, 6], "classes": 10}
RESIDUAL |= {"image": {"height": 20, "width": 24, "channels": 3}}
CONNECTED: dict[str, Any] = {"network": "plain", "filters": [], "hidden": 8, "classes": 10}


def saved(path: Path, network: dict[str, Any], seed: int = 0) -> Path:
    """A network whose weights and statistics all differ, as after training."""
    torch.manual_seed(seed)
    model = networks.build(**network)
    for name, values in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 2)
    checkpoint.save(model, path, **network)
    return path


def test_the_same_model_gives_the_same_bytes_in_another_folder_and_after_another_run(tmp_path: Path) -> None:
    first, other = (saved(tmp_path / str(seed) / "x.safetensors", CONNECTED, seed) for seed in (1, 2))
    export.write(first, tmp_path / "1.onnx")
    export.write(other, tmp_path / "2.onnx")
    export.graph.cache_clear()
    export.write(other, tmp_path / "elsewhere/2.onnx")
    assert (tmp_path / "2.onnx").read_bytes() == (tmp_path / "elsewhere/2.onnx").read_bytes()
    assert (tmp_path / "2.onnx").read_bytes() != (tmp_path / "1.onnx").read_bytes()


def test_the_file_takes_bytes_gives_probabilities_alone_and_names_no_folder(tmp_path: Path) -> None:
    export.write(saved(tmp_path / "x.safetensors", PLAIN), tmp_path / "x.onnx")
    model = onnx.load(tmp_path / "x.onnx")
    onnx.checker.check_model(model)
    [images] = model.graph.input
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [one.name for one in model.graph.output] == ["probabilities"]
    assert [one.key for one in model.metadata_props] == ["layers", "inside"]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert b".py" not in (tmp_path / "x.onnx").read_bytes()


def test_a_file_that_answers_otherwise_is_refused(tmp_path: Path, digits: Dataset) -> None:
    images = digits.test.images[:20]
    models = [saved(tmp_path / f"{seed}.safetensors", PLAIN, seed) for seed in (1, 2)]
    export.write(models[0], tmp_path / "1.onnx")
    logits, others = (predict(checkpoint.load(path), images) for path in models)
    export.check(tmp_path / "1.onnx", images, logits)
    with pytest.raises(InputError, match=r"1\.onnx differs from the model by .* in a probability, expected 1e-05"):
        export.check(tmp_path / "1.onnx", images, others)


@pytest.mark.parametrize("kind", ["plain", "modern", "residual", "connected", "vote"])
def test_the_layers_and_the_evidence_in_the_file_are_the_model_s(tmp_path: Path, digits: Dataset, kind: str) -> None:
    weights = tmp_path / "x.safetensors"
    if kind == "vote":
        checkpoint.vote([saved(tmp_path / f"{seed}.safetensors", PLAIN, seed) for seed in (1, 2)], weights)
    else:
        saved(weights, {"plain": PLAIN, "modern": MODERN, "residual": RESIDUAL, "connected": CONNECTED}[kind])
    export.write(weights, tmp_path / "x.onnx")
    model, image = checkpoint.load(weights), digits.test.images[0]
    if kind == "residual":
        image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    export.check(tmp_path / "x.onnx", image[None], predict(model, image[None]))
    inside = Inspection((tmp_path / "x.onnx").read_bytes())
    for found, layer in zip(inside.layers(image), activations.layers(model, image), strict=True):
        assert found.units() == {"name": layer.name, **layer.field._asdict(), "window": layer.window}
        np.testing.assert_allclose(found.maps, layer.maps, atol=1e-5, err_msg=layer.name)
        for part in ("filters", "bias", "scale"):
            np.testing.assert_equal(getattr(found, part), getattr(layer, part), err_msg=f"{part} of {layer.name}")
    np.testing.assert_allclose(inside.evidence(image, 3), activations.evidence(model, image, 3), atol=1e-4)
