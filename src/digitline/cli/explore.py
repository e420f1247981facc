"""digitline explore: the output shape and the cost of each layer of a variant; it need not be trained."""

from digitline.config.keys import choose
from digitline.config.params import Params
from digitline.model import arithmetic, networks


def explore(params: Params, *, variant: str | None = None) -> None:
    """Explains the variant named, or all of them."""
    chosen = {variant: choose("the variant", variant, params.variants)} if variant else params.variants
    classes, image = len(params.classes), params.image._asdict()
    models = {name: networks.build(**one.model, classes=classes, image=image) for name, one in chosen.items()}
    print("\n\n".join(arithmetic.text(name, model) for name, model in models.items()))
