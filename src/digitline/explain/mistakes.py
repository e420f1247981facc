"""Figures of a network's answers, with their numbers: evidence, confusions, uncertainty."""

from typing import Any

import numpy as np
from scipy.special import softmax

from digitline.data.dataset import Part, Subset
from digitline.draw import charts, explanations, mosaics
from digitline.explain import activations, filters
from digitline.explain.evidence import stride
from digitline.explain.learned import Look, pictures
from digitline.measure.calibration import temperature
from digitline.measure.rounding import DIGITS, decimals, each
from digitline.measure.uncertainty import entropy
from digitline.model.scores import exact, nll

EACH = 5  # of the right and of the wrong answers
PAIRS = 12  # of a mistake and a digit of the predicted class
TEMPERATURES = [round(float(t), 3) for t in np.geomspace(0.2, 5, 41)]
SHOWN_AT = [0.5, 1.0, 2.0, 4.0]  # temperatures


def explained(look: Look) -> list[dict[str, Any]]:
    """Draws where the evidence lies, for right answers and for the most confident wrong ones."""
    shares = softmax(exact(look.responses.logits), 1)
    predicted, sure = look.responses.logits.argmax(1), decimals(shares.max(1), DIGITS)  # ties keep their order
    (wrong,) = np.nonzero(predicted != look.test.labels)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:EACH]
    right: list[int] = []
    for label in look.test.labels[wrong]:  # for each mistake, a right answer of its class
        alike = np.setdiff1d(np.flatnonzero((look.test.labels == label) & (predicted == label)), right)
        right += alike[:1].tolist()
    chosen = [*right, *map(int, wrong)]
    if not chosen:
        return []
    answers = [int(predicted[index]) for index in chosen]
    images = look.test.images[chosen]
    steep = [filters.saliency(look.model, image, answer) for image, answer in zip(images, answers, strict=True)]
    carried = [
        decimals(activations.evidence(look.model, image, answer))  # no effect is 0, not a rounding error
        for image, answer in zip(images, answers, strict=True)
    ]
    height, width, step = *images.shape[1:3], stride(images[0])
    large = np.stack(carried).repeat(step, 1).repeat(step, 2)[:, :height, :width]
    tiles = np.stack([pictures(look, images), mosaics.heatmap(np.stack(steep), (1, 2)), mosaics.signed(large, (1, 2))])
    heads = [caption(look, index, answer) for index, answer in zip(chosen, answers, strict=True)]
    rows = ["image", "slope", "cover"]
    picture = mosaics.svg(tiles, columns=heads, rows=rows, breaks=[len(right)], alt="where the evidence lies")
    lines = [
        [index, look.classes[look.test.labels[index]], look.classes[answer], row, *(f"{v:.3g}" for v in values.flat)]
        for index, answer, *both in zip(chosen, answers, steep, large, strict=True)
        for row, values in zip(rows[1:], both, strict=True)
    ]
    header = ["test_image", "actual", "predicted", "map", *(f"v{place}" for place in range(height * width))]
    look.keep("evidence", picture, header, lines)
    return [{"test_image": index, "head": head} for index, head in zip(chosen, heads, strict=True)]


def caption(look: Look, index: int, answer: int) -> str:
    """The true class, and the predicted one if it differs."""
    actual = int(look.test.labels[index])
    return turned(look.classes[actual], look.classes[answer])


def turned(actual: str, predicted: str) -> str:
    """The two classes in few characters, or the one if they are the same."""
    return charts.short(actual, 14) + (f"→{charts.short(predicted, 14)}" if predicted != actual else "")


def confused(look: Look) -> list[dict[str, Any]]:
    """Draws one mistake of each common confusion beside the most similar digit of the predicted class."""
    predicted, actual, features = look.responses.logits.argmax(1), look.test.labels, exact(look.responses.features)
    (wrong,) = np.nonzero(predicted != actual)
    counts = np.zeros((len(look.classes),) * 2, int)
    np.add.at(counts, (actual[wrong], predicted[wrong]), 1)
    often = sorted(
        ((int(n), a, p) for (a, p), n in np.ndenumerate(counts) if n), key=lambda each: (-each[0], *each[1:])
    )
    records, tiles, heads = [], [], []
    for number, is_class, taken in often[:PAIRS]:
        [index, *_] = wrong[(actual[wrong] == is_class) & (predicted[wrong] == taken)]
        (alike,) = np.nonzero((actual == taken) & (predicted == taken))
        if not len(alike):
            continue
        nearest = int(alike[each(np.square(features[alike] - features[index]).sum(1)).argmin()])
        tiles.append(np.stack([look.test.images[index], look.test.images[nearest]]))
        heads.append(f"{turned(look.classes[is_class], look.classes[taken])} x{number}")
        records.append(
            {"actual": look.classes[is_class], "predicted": look.classes[taken], "count": number}
            | {"test_image": int(index), "like": nearest}
        )
    if records:
        picture = mosaics.pairs(pictures(look, np.stack(tiles)), heads, alt="mistakes beside digits of that class")
        look.keep("confusions", picture, list(records[0]), [list(each.values()) for each in records])
    return records


def uncertain(look: Look) -> dict[str, Any]:
    """Draws the most uncertain answer at several temperatures."""
    logits = exact(look.responses.logits)
    most = int(decimals(entropy(softmax(logits, 1)), DIGITS).argmax())
    answers = {t: decimals(softmax(logits[most] / t)) for t in SHOWN_AT}
    lines = [[t, *(f"{share:.4f}" for share in shares)] for t, shares in answers.items()]
    figure = explanations.answers(pictures(look, look.test.images[most]), answers, look.classes)
    look.keep("answers", charts.svg(figure), ["temperature", *look.classes], lines)
    surest = {f"{t:g}": round(100 * float(shares.max()), 1) for t, shares in answers.items()}
    return {"test_image": most, "actual": look.classes[look.test.labels[most]], "surest": surest}


def losses(logits: np.ndarray, validation: Part | Subset) -> dict[str, Any]:
    """The validation loss of logits [N, classes] by temperature, and the temperature of the minimum."""
    found = {f"{t:g}": round(nll(exact(logits) / t, validation.labels), 5) for t in TEMPERATURES}
    return {"best": round(temperature(logits, validation.labels), 3), "losses": found}
