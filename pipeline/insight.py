"""Shows what each variant has learned: its filters, what excites them, its maps, its evidence, its mistakes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.numpy import load_file

from digitline import arithmetic, checkpoint, data, files, filters, learned, mistakes
from digitline.processes import side_by_side
from pipeline import stage

FOLDER = Path("reports/insight")


class Job(NamedTuple):
    variant: str
    seed: int
    classes: list[str]
    split: dict[str, Any]


def show(params: stage.Params) -> None:
    """Draws what the first seed of each variant has learned, side by side, and tells MLflow."""
    jobs = [Job(name, params.seeds[0], params.classes, params.split) for name in params.variants]
    records = side_by_side(one, jobs, imports=["pipeline.stage", "digitline.learned", "sklearn.manifold"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    store, told = stage.store(params), {}
    for job, found in records:
        told[job.variant] = found
        paths = [stage.model_path(job.variant, seed) for seed in params.seeds]
        tracking.illustrate(store, paths, FOLDER / job.variant, "insight")
    stage.write_json(FOLDER.with_suffix(".json"), {name: told[name] for name in params.variants})


def one(job: Job) -> Iterator[dict[str, Any]]:
    """Draws one variant, in a process of its own; yields the numbers that the report tells."""
    dataset, model = data.load(stage.DATASET), checkpoint.load(stage.model_path(job.variant, job.seed))

    def keep(name: str, picture: str, header: Sequence[str], lines: learned.Table) -> None:
        files.write(FOLDER / job.variant / f"{name}.svg", picture.encode())
        stage.write_csv(FOLDER / job.variant / f"{name}.csv", [header, *lines])

    look = learned.Look(model, dataset.test, job.classes, filters.respond(model, dataset.test.images), keep)
    _, validation = data.split(dataset.train, **job.split)
    logits = load_file(f"predictions/{job.variant}.safetensors")["val"][0]
    yield {
        "seed": job.seed,
        "layers": shared(arithmetic.steps(model)),
        "filters": learned.excited(look),
        "maps": learned.mapped(look),
        "embedding": learned.embedded(look),
        "evidence": mistakes.explained(look),
        "confusions": mistakes.confused(look),
        "torn": mistakes.cooled(look),
        "temperature": mistakes.heated(logits, validation),
    }


def shared(steps: Sequence[arithmetic.Step]) -> list[dict[str, Any]]:
    """The parameters of each layer that has any, as it is and without shared weights."""
    return [
        {"layer": arithmetic.title(step.layer), "parameters": step.parameters, "unshared": step.unshared}
        for step in steps
        if step.parameters
    ]


if __name__ == "__main__":
    stage.run(show)
