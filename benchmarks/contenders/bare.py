"""A bare Starlette route for uvicorn: bytes in, bytes out."""

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.contenders.shared import model


async def predict(request: Request) -> Response:
    images = np.frombuffer(await request.body(), np.uint8).reshape(-1, 28, 28)
    probabilities = model(images)
    return Response(probabilities.argmax(1).astype(np.uint8).tobytes() + probabilities.tobytes())


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
