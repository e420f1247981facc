"""What a model computes inside for one image: a second session of the same file, with its layers as outputs."""

import base64
import json
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitline.data.dataset import Bytes
from digitline.explain.evidence import evidence
from digitline.serving.runtime import Exported, Floats


class Layer(NamedTuple):
    """A layer's output on one image, and what its units compute it from."""

    name: str
    size: int  # of a unit's receptive field, in pixels
    step: int  # between the fields of neighbouring units
    start: int  # of the first unit's field
    window: int  # the side of a unit's window in each map of the layer before
    maps: Floats  # [channels, height, width]
    filters: Floats | None  # [channels, inputs, window, window]
    bias: Floats | None  # [channels]
    scale: Floats | None  # [channels], the factor of a normalisation

    def units(self) -> dict[str, Any]:
        """Its name, and what its units see."""
        return {key: getattr(self, key) for key in ("name", "size", "step", "start", "window")}


class Inspection:
    """Safe to call from several threads."""

    def __init__(self, exported: bytes) -> None:
        """Makes outputs of what the file's metadata lists."""
        kept = Exported(exported).metadata
        self.described = json.loads(kept["layers"])
        # Two messages of protocol buffers, one after the other, are one with the fields of both.
        self.whole = Exported(exported + base64.b64decode(kept["inside"]))

    def evidence(self, image: Bytes, answer: int) -> Floats:
        """How much each part of an image contributes to the answer's log-odds."""
        return evidence(partial(self.whole.output, "logits"), image, answer)

    def layers(self, image: Bytes) -> list[Layer]:
        """The layers from one image to logits, with their outputs on it; for a vote, its first member's."""
        names = [f"layer {number}" for number in range(len(self.described))]
        weights = [each["filters"] for each in self.described if each["filters"]]
        outputs = dict(
            zip(names + weights, self.whole.session.run(names + weights, {"images": image[None]}), strict=True)
        )
        found: list[Layer] = []
        for name, each in zip(names, self.described, strict=True):
            maps = outputs[name][0]
            maps = maps if maps.ndim == 3 else maps[:, None, None]  # a neuron is a map of one unit
            filters = filters_of(outputs[each["filters"]], found[-1].maps) if each["filters"] else None
            numbers = {"bias": array(each["bias"]), "scale": array(each["scale"])}
            found.append(Layer(**{**each, **numbers, "maps": maps, "filters": filters}))
        return found


def filters_of(weights: Floats, before: Floats) -> Floats:
    """A layer's weights as filters [channels, inputs, window, window]; a neuron's is as large as the maps before it."""
    if weights.ndim == 4:
        return weights
    channels, height, width = before.shape
    return weights.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)  # the channels come last


def array(values: list[float] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.array(values, np.float32)
