"""digitline rollback: a former champion put back, once it has loaded and held the floor and the budgets."""

from pathlib import Path
from tempfile import TemporaryDirectory

from digitline.base.errors import InputError
from digitline.cli.promote import PLACES, comparable, entry, judge, of_study, views_of
from digitline.config.params import Params
from digitline.registry import ledger, lineage, promotion


def rollback(params: Params, *, model: str | None = None, reason: str) -> None:
    """Makes a former champion of the same data set champion again."""
    views = views_of(params)
    with promotion.alone(PLACES), TemporaryDirectory() as scratch:
        champion = promotion.complete(PLACES, lambda: of_study(params), views)
        entries = ledger.read(PLACES.ledger)
        sha256 = lineage.whole(model, ledger.variants(entries)) if model else ledger.before(entries)
        if champion and champion.sha256 == sha256:
            raise InputError(f"{champion.title} is the champion already")
        back = promotion.former(PLACES, lambda: of_study(params), views.store, Path(scratch), sha256)
        if not comparable(params, back):
            raise InputError(
                f"{back.title} is of the data set {back.card.get('dataset')} with the classes "
                f"{', '.join(back.card['classes'])}, expected {params.dataset} with {', '.join(params.classes)}"
            )
        verdict = judge(params, back, None)
        if not verdict.passed:
            raise InputError(f"{back.title} is not put back: {'; '.join(verdict.reasons)}")
        promotion.promote(PLACES, back, entry(ledger.ROLLBACK, back, entries, verdict, reason), views)
    print(f"commit {PLACES.ledger} and {PLACES.pointer}")
