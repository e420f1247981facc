"""The champion over HTTP: `bentoml serve` in the repository's root, or a Bento that carries the model."""

from pathlib import Path

import bentoml
import torch
from bentoml.exceptions import BentoMLConfigException

from digitline import packing
from digitline.errors import InputError
from service.api import app
from service.champion import Champion, Study

MODELS = Path(__file__).parents[1] / "models"
CHAMPION = MODELS / "champion"


def champion() -> bentoml.models.BentoModel:
    """The model of this clone's champion, stored now where BentoML has it not; a Bento has its card alone, and it."""
    try:
        in_clone = (CHAMPION / packing.MODEL).exists()
        return bentoml.models.BentoModel(packing.bento(CHAMPION) if in_clone else packing.tag(CHAMPION))
    except (InputError, OSError) as error:
        raise BentoMLConfigException(str(error)) from None


@bentoml.service(name="digitline", http={"host": "127.0.0.1"})
@bentoml.asgi_app(app)
class Digitline:
    """Recognises handwritten digits: POST /predict takes 28x28 images as JSON, POST /classify a PNG or JPEG."""

    champion = champion()

    def __init__(self) -> None:
        torch.set_num_threads(1)  # the requests side by side keep the cores busy; threads within one would wait
        stored = bentoml.models.get(self.champion.tag)
        app.state.champion = Champion(Path(stored.path), lineage=stored.info.labels)
        app.state.study = Study(MODELS / "study")
