"""A model as it answers soonest: in ONNX Runtime on a processor, in PyTorch on CUDA."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from digitline.data.dataset import SIDE

CHUNK = 64  # images at once: their maps stay in the processor's cache

Images = NDArray[np.uint8] | NDArray[np.float32]  # [N, 28, 28], 0-255
Floats = NDArray[np.float32]
Run = Callable[[Images], Floats]  # the probability of each class, [N, classes]; safe to call from threads


def fastest(model: nn.Module) -> Run:
    """The model in the runtime that is fastest on this machine: CUDA where there is a GPU, ONNX Runtime elsewhere."""
    return in_pytorch(model, "cuda") if torch.cuda.is_available() else in_onnx_runtime(model)


def in_onnx_runtime(model: nn.Module) -> Run:
    """The model in ONNX Runtime, in float32: the labels of PyTorch, its probabilities but for rounding."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx(model), options, providers=["CPUExecutionProvider"])

    def probabilities(images: Images) -> Floats:
        pixels = images.astype(np.float32, copy=False)
        parts = [session.run(None, {"images": pixels[at : at + CHUNK]})[0] for at in range(0, len(pixels), CHUNK)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    return probabilities


def onnx(model: nn.Module) -> bytes:
    """The model, which may take any number of images, as an ONNX file that ends in probabilities."""
    file: Any = io.BytesIO()
    # By tracing: a sixth of a second, where the exporter that looks at the code takes five.
    torch.onnx.export(
        nn.Sequential(model, nn.Softmax(1)).eval(),
        (torch.zeros(1, SIDE, SIDE),),
        file,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_axes={"images": {0: "count"}, "probabilities": {0: "count"}},
        dynamo=False,
    )
    content: bytes = file.getvalue()
    return content


def in_pytorch(model: nn.Module, device: str = "cpu") -> Run:
    """The model in PyTorch on that device, in float32; nothing is exported."""
    # TF32 keeps three digits, and not the same ones in batches of other sizes.
    torch.backends.cudnn.allow_tf32 = False
    there = model.to(device)

    def probabilities(images: Images) -> Floats:
        with torch.inference_mode():
            found: Floats = there(torch.from_numpy(images).to(device)).float().softmax(1).cpu().numpy()
        return found

    return probabilities
