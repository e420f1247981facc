"""An MLflow model from code, for `mlflow models serve`; run as a script, writes it to the given folder."""

import sys
from typing import Any

import numpy as np
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc import save_model
from mlflow.pyfunc.model import PythonModel
from mlflow.types import Schema, TensorSpec


class Model(PythonModel):
    def load_context(self, context: Any) -> None:
        from benchmarks.contenders.shared import model

        self.model = model

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return self.model(model_input)


if __name__ == "__main__":
    pixels, classes = TensorSpec(np.dtype(np.float32), (-1, 28, 28)), TensorSpec(np.dtype(np.float32), (-1, 10))
    signature = ModelSignature(Schema([pixels]), Schema([classes]))
    save_model(sys.argv[1], python_model=__file__, signature=signature, pip_requirements=[])
else:
    set_model(Model())
