"""Draws what each variant has learned: filters, what excites them, feature maps, evidence, mistakes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.numpy import load_file

from digitline.base import files
from digitline.cli import entry
from digitline.compute.jobs import side_by_side
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.explain import filters, learned, mistakes
from digitline.model import arithmetic, checkpoint


class Job(NamedTuple):
    variant: str
    seed: int
    classes: list[str]
    split: dict[str, Any]


def insight(params: Params) -> None:
    """Draws what the first seed of each variant has learned, in parallel, and logs the figures to MLflow."""
    paths.set_aside(params)
    jobs = [Job(name, params.seeds[0], params.classes, params.split) for name in params.variants]
    imports = ["digitline.explain.mistakes", "sklearn.manifold"]
    records = side_by_side(one, jobs, imports=imports, shared=[paths.DATASET], own=inputs)

    from digitline.cli import runs  # MLflow takes a second to import: meanwhile the processes start
    from digitline.tracking import runs as tracking

    store, numbers = runs.store(params), {}
    for job, found in records:
        numbers[job.variant] = found
        models = paths.model_paths(params, job.variant).values()
        tracking.illustrate(store, models, paths.INSIGHT / job.variant, "insight")
    files.write_json(paths.INSIGHT.with_suffix(".json"), {name: numbers[name] for name in params.variants})


def inputs(job: Job) -> list[Path]:
    """The files that a job reads besides the data set."""
    return [paths.model_path(job.variant, job.seed), paths.predictions_path(job.variant)]


def one(job: Job) -> Iterator[dict[str, Any]]:
    """Draws one variant, in its own process; yields the numbers for the report."""
    parts, model = dataset.divide(paths.DATASET, **job.split), checkpoint.load(paths.model_path(job.variant, job.seed))

    def keep(name: str, picture: str, header: Sequence[str], lines: learned.Table) -> None:
        files.write(paths.INSIGHT / job.variant / f"{name}.svg", picture.encode())
        files.write_csv(paths.INSIGHT / job.variant / f"{name}.csv", [header, *lines])

    look = learned.Look(model, parts.test, job.classes, filters.respond(model, parts.test.images), keep)
    logits = load_file(paths.predictions_path(job.variant))["val"][0]
    yield {
        "seed": job.seed,
        "layers": shared(arithmetic.steps(model)),
        "filters": learned.excited(look),
        "maps": learned.mapped(look),
        "embedding": learned.embedded(look),
        "evidence": mistakes.explained(look),
        "confusions": mistakes.confused(look),
        "uncertain": mistakes.uncertain(look),
        "temperature": mistakes.losses(logits, parts.validation),
    }


def shared(steps: Sequence[arithmetic.Step]) -> list[dict[str, Any]]:
    """The number of parameters of each layer that has any, with and without shared weights."""
    return [
        {"layer": arithmetic.title(step.layer), "parameters": step.parameters, "unshared": step.unshared}
        for step in steps
        if step.parameters
    ]


if __name__ == "__main__":
    entry.run(insight, parallel=True)
