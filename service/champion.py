"""The served model: images in, digits and probabilities out."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digitline import checkpoint, packing

THREADS = min(4, os.cpu_count() or 1)  # requests at work at once; the largest picture takes each half a gigabyte


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Loads model.safetensors and model.json; InputError where they are damaged or do not belong together."""
        card = packing.verified(folder)
        self.sha256: str = card["sha256"]
        self.classes: list[str] = card["classes"]
        # TF32 keeps three digits, and not the same ones in batches of other sizes.
        torch.backends.cudnn.allow_tf32 = False
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = checkpoint.load(folder / packing.MODEL).to(self.device)
        self.threads = ThreadPoolExecutor(THREADS)

    def classify(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> list[tuple[str, list[float]]]:
        """The class and the probabilities of each image [N, 28, 28], 0-255."""
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(images).to(self.device)).float()
        probabilities = logits.softmax(1).cpu()
        return [(self.classes[int(row.argmax())], row.tolist()) for row in probabilities]
