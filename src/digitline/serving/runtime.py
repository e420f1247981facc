"""Runs a model in its fastest runtime: ONNX Runtime on a CPU, PyTorch on CUDA."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitline.data.dataset import Bytes
from digitline.data.entry import Shape

if TYPE_CHECKING:  # PyTorch takes a second to import, and on a CPU the service does not need it
    from torch import nn

CHUNK = 64  # images per pass, so that their feature maps stay in the processor's cache

Images = NDArray[np.uint8] | NDArray[np.float32]  # [N, H, W] or [N, H, W, 3], 0-255; a model takes whole numbers
Floats = NDArray[np.float32]
Run = Callable[[Images], Floats]  # returns probabilities [N, classes]; thread-safe


class Exported:
    """An exported model in ONNX Runtime, in float32: PyTorch's labels, and its probabilities up to rounding.

    A session has one thread: parallel requests keep the cores busy.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Images) -> Floats:
        """The probability of each class for each image."""
        return self.output("probabilities", images)

    def output(self, name: str, images: Images) -> Floats:
        """One output for all images."""
        pixels = whole(images)
        starts = range(0, len(pixels), CHUNK)
        parts = [self.session.run([name], {"images": pixels[at : at + CHUNK]})[0] for at in starts]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    @property
    def shape(self) -> Shape:
        """The shape of the images that it takes."""
        return Shape(*self.session.get_inputs()[0].shape[1:])

    @property
    def metadata(self) -> dict[str, str]:
        """What export.py wrote about the model."""
        return dict(self.session.get_modelmeta().custom_metadata_map)


def whole(images: Images) -> Bytes:
    """The images with their pixels rounded to whole numbers."""
    pixels = images if images.dtype == np.uint8 else np.rint(images)
    return pixels.astype(np.uint8, copy=False)


def fastest(exported: Exported, weights: Path) -> Run:
    """The model in the fastest runtime on this machine: PyTorch on CUDA if there is a GPU, else ONNX Runtime."""
    if not on_cuda():
        return exported
    from digitline.model import checkpoint

    return in_pytorch(checkpoint.load(weights), "cuda")


def on_cuda() -> bool:
    """Whether PyTorch is installed and finds a GPU; without a driver it is not imported to look for one."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    if not find_spec("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def in_pytorch(model: nn.Module, device: str = "cpu") -> Run:
    """The model in PyTorch on that device, in float32, without an export."""
    import torch

    # TF32 has three digits, and they depend on the batch size.
    torch.backends.cudnn.allow_tf32 = False
    there = model.to(device)

    def probabilities(images: Images) -> Floats:
        with torch.inference_mode():
            found: Floats = there(torch.from_numpy(whole(images)).to(device)).float().softmax(1).cpu().numpy()
        return found

    return probabilities
