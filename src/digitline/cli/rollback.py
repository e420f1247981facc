"""digitline rollback: makes a former champion champion again if it loads and meets the floor and the budgets."""

from pathlib import Path
from tempfile import TemporaryDirectory

from digitline.base.errors import InputError
from digitline.cli.promote import PLACES, comparable, entry, judge, of_study, views_of
from digitline.config.params import Params
from digitline.registry import ledger, lineage, promotion


def rollback(params: Params, *, model: str | None = None, reason: str) -> None:
    """Rolls back to a former champion of the same data set."""
    views = views_of(params)
    with promotion.alone(PLACES), TemporaryDirectory() as scratch:
        champion = promotion.complete(PLACES, lambda: of_study(params), views)
        entries = ledger.read(PLACES.ledger)
        sha256 = lineage.whole(model, ledger.variants(entries)) if model else ledger.before(entries)
        if champion and champion.sha256 == sha256:
            raise InputError(f"{champion.title} is already champion; name another model")
        back = promotion.former(PLACES, lambda: of_study(params), views.store, Path(scratch), sha256)
        if not comparable(params, back):
            raise InputError(
                f"{back.title} is of the data set {back.card.get('dataset')} with the classes "
                f"{', '.join(back.card['classes'])}, expected {params.dataset} with {', '.join(params.classes)}"
            )
        verdict = judge(params, back, None)
        if not verdict.passed:
            raise InputError(f"the rollback to {back.title} failed: {'; '.join(verdict.reasons)}")
        promotion.promote(PLACES, back, entry(ledger.ROLLBACK, back, entries, verdict, reason), views)
    print(f"now commit {PLACES.ledger} and {PLACES.pointer}")
