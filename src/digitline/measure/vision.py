"""Makes torchvision importable with any torch: `from digitline.measure.vision import datasets`."""

import torch

try:
    from torchvision import datasets, transforms
    from torchvision.transforms import v2
except RuntimeError:
    # torchvision's import uses two operators that its compiled part declares; a wheel built for CUDA cannot load
    # that part on a torch without CUDA. The declarations are enough for the import.
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import datasets, transforms
    from torchvision.transforms import v2

__all__ = ["datasets", "transforms", "v2"]
