"""The service runs without PyTorch, as in the image for a CPU."""

import json
from pathlib import Path

from digitline.data.dataset import Dataset
from tests.served import new_clone, new_study, picture

# The modules that the image for a CPU leaves out, and every route of the app.
ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "sklearn", "scipy", "onnx", "onnxscript", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())

import json
from pathlib import Path
from starlette.applications import Starlette
from starlette.testclient import TestClient
from service import api, exchange, service
from service.schema import RAW

picture, images = Path("digit.png").read_bytes(), json.loads(Path("images.json").read_text())
png, origin = {"Content-Type": "image/png"}, {"Content-Type": RAW, "Origin": "http://testserver"}
tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [9] * 784}
exchange.begin(api.app.state, "")
client = TestClient(service.First(Starlette(), api.app))
found = [
    client.post("/predict", json=images),
    client.post("/predict", content=bytes(784), headers={"Content-Type": RAW}),
    client.post("/classify", content=picture, headers=png),
    client.post("/explain", content=picture, headers=png),
    client.post("/read", content=picture, headers=png),
    client.post("/compare", json=images),
    client.post("/feedback?label=", content=bytes(784), headers=origin),
    client.post("/v2/models/digitline/infer", json={"inputs": [tensor]}),
    *(client.get(path) for path in ("/network", "/lineage", "/docs.json", "/metrics", "/", "/ui/")),
    *(client.get(f"/v2{path}") for path in ("", "/health/live", "/health/ready", "/models/digitline")),
    client.get("/v2/models/digitline/ready"),
]
asked = {"/ui", *(answer.request.url.path.rstrip("/") or "/" for answer in found)}
routes = {route.path for route in api.app.routes if not isinstance(getattr(route, "endpoint", None), api.BentoML)}
unasked = sorted(path for path in routes - asked if "{" not in path)
print(json.dumps([[answer.status_code for answer in found], unasked]))
"""


def test_every_route_answers_without_pytorch(tmp_path: Path, digits: Dataset) -> None:
    clone = new_clone(tmp_path / "clone")
    new_study(clone.folder / "models/study")
    (clone.folder / "digit.png").write_bytes(picture(digits.test.images[0]))
    (clone.folder / "images.json").write_text(json.dumps({"images": digits.test.images[:2].tolist()}))
    done = clone._replace(environment={**clone.environment, "DIGITLINE_FEEDBACK": str(tmp_path)}).python("-c", ALONE)
    assert done.returncode == 0, done.stderr
    statuses, unasked = json.loads(done.stdout.splitlines()[-1])
    assert (set(statuses), unasked) == ({200}, [])
