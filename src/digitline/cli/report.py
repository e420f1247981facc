"""digitline report: writes the study as web pages to reports/site."""

from digitline.base import files
from digitline.base.errors import InputError
from digitline.compute import machine
from digitline.config import paths, times
from digitline.config.params import Params
from digitline.draw import palette
from digitline.registry import bento
from digitline.report import pages

SITE = paths.REPORTS / "site"


def report(params: Params) -> None:
    """Writes the pages; InputError if nothing has run here, for git keeps only some of what they show."""
    for path in (paths.LEADERBOARD, paths.INSIGHT.with_suffix(".json")):
        if not path.exists():
            raise InputError(f"there is no {path}, which the report shows; run make, or dvc repro, for it")
    study = pages.Study(
        reports=paths.REPORTS,
        board=files.read_json(paths.LEADERBOARD),
        timings=times.known(),
        insight=files.read_json(paths.INSIGHT.with_suffix(".json")),
        champion=bento.read_card(paths.CHAMPION) if (paths.CHAMPION / bento.CARD).exists() else None,
        styles=palette.styles(params.variants, params.votes),
        dataset=params.dataset,
        classes=params.classes,
        image=params.image,
        preparation=params.preparation,
        variants=list(params.variants),
        votes=list(params.votes),
        seeds=params.seeds,
        split=params.split,
        machine=machine.words(files.read_json(paths.MADE_ON if paths.MADE_ON.exists() else paths.MACHINE)),
        robust_images=params.robustness["images"],
        select_by=params.select_by,
    )
    pages.write(study, SITE)
    print(f"wrote the study to {SITE}/index.html; open it in a browser")
