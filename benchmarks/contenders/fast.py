"""FastAPI with its models; a plain function, as its documentation says for computations."""

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.contenders.shared import answer


class Images(BaseModel):
    images: list[list[list[float]]]


class Predictions(BaseModel):
    predictions: list[list[float]]


app = FastAPI()


@app.post("/predict")
def predict(body: Images) -> Predictions:
    return Predictions(predictions=answer(body.images))
