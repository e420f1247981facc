"""LitServe, with its batching."""

import sys
from typing import Any

import litserve
import numpy as np

from digitline.serving.runtime import Floats


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        from benchmarks.contenders.shared import model

        self.model = model

    def decode_request(self, request: dict[str, Any], **_: Any) -> Any:
        return np.array(request["images"], np.float32)

    def batch(self, inputs: list[Any]) -> Any:
        return inputs

    def predict(self, x: list[Any], **_: Any) -> list[Floats]:
        found = self.model(np.concatenate(x))
        return np.split(found, np.cumsum([len(images) for images in x])[:-1])

    def unbatch(self, output: list[Floats]) -> list[Floats]:
        return output

    def encode_response(self, output: Floats, **_: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=16, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=int(sys.argv[2]),
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, generate_client_file=False)
