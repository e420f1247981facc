"""Runs a model in its fastest runtime: ONNX Runtime on a CPU, PyTorch on CUDA."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from digitline.model.networks import blanks

CHUNK = 64  # images per pass, so that their feature maps stay in the processor's cache

Images = NDArray[np.uint8] | NDArray[np.float32]  # [N, H, W] or [N, H, W, 3], 0-255
Floats = NDArray[np.float32]
Run = Callable[[Images], Floats]  # returns probabilities [N, classes]; thread-safe


def fastest(model: nn.Module) -> Run:
    """The model in the fastest runtime on this machine: PyTorch on CUDA if there is a GPU, else ONNX Runtime."""
    return in_pytorch(model, "cuda") if torch.cuda.is_available() else in_onnx_runtime(model)


def in_onnx_runtime(model: nn.Module) -> Run:
    """The model in ONNX Runtime, in float32: same labels as PyTorch, same probabilities up to rounding."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx(model), options, providers=["CPUExecutionProvider"])

    def probabilities(images: Images) -> Floats:
        pixels = images.astype(np.float32, copy=False)
        parts = [session.run(None, {"images": pixels[at : at + CHUNK]})[0] for at in range(0, len(pixels), CHUNK)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    return probabilities


def onnx(model: nn.Module) -> bytes:
    """The model as an ONNX file that takes any number of images and returns probabilities."""
    file: Any = io.BytesIO()
    # Tracing takes a sixth of a second; the newer exporter takes five.
    torch.onnx.export(
        nn.Sequential(model, nn.Softmax(1)).eval(),
        (blanks(model),),
        file,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_axes={"images": {0: "count"}, "probabilities": {0: "count"}},
        dynamo=False,
    )
    content: bytes = file.getvalue()
    return content


def in_pytorch(model: nn.Module, device: str = "cpu") -> Run:
    """The model in PyTorch on that device, in float32, without an export."""
    # TF32 has three digits, and they depend on the batch size.
    torch.backends.cudnn.allow_tf32 = False
    there = model.to(device)

    def probabilities(images: Images) -> Floats:
        with torch.inference_mode():
            found: Floats = there(torch.from_numpy(images).to(device)).float().softmax(1).cpu().numpy()
        return found

    return probabilities
