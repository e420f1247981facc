"""From what a folder holds to the lines of a manifest: forms, shape, images, and the side of each picture."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.data import holdout, likeness, prepare, survey
from digitline.data.dataset import Bytes, Rows, mapped, sizes, writing
from digitline.data.entry import Preparation, Shape
from digitline.data.pictures import Line, on_all_cores
from digitline.data.survey import Form, Found, Left, Picture

CHAINED = 0.2  # of the pictures; in a larger cluster the hash cannot tell the pictures apart
FEW = 50  # pictures, of which any number may look alike


class Seen(NamedTuple):
    """The pictures that can be read."""

    pictures: list[Picture]
    forms: list[Form]
    damaged: list[Left]
    others: list[Left]  # files that are no pictures, and pictures that have no class


class Sides(NamedTuple):
    """The side of each picture, and what stands in the way of an honest test."""

    pictures: list[Picture]
    pairs: list[tuple[int, int]]  # a test picture and the training picture that it looks like
    notes: list[str]


def looked_at(found: Found) -> Seen:
    """Reads each picture's form; of a folder's files without the name of a picture, those that are none are others."""
    paths = [found.root / picture.path for picture in found.pictures]
    answers = list(on_all_cores(survey.form, paths, "looking"))
    kept, forms, damaged, others = [], [], [], list(found.left_out)
    for picture, answer in zip(found.pictures, answers, strict=True):
        if isinstance(answer, Form):
            kept.append(picture)
            forms.append(answer)
        elif found.table or Path(picture.path).suffix.lower() in survey.SUFFIXES:
            damaged.append(Left(picture.path, answer))
        else:
            others.append(Left(picture.path, "is not a picture"))
    return Seen(kept, forms, damaged, others)


def shape(forms: Sequence[Form], size: tuple[int, int] | None, *, grey: bool) -> Shape:
    """The shape of the images; InputError if the pictures have several sizes and none is given."""
    found = Counter((form.height, form.width) for form in forms)
    if not size and len(found) > 1:
        low, high = min(found), max(found)
        raise InputError(
            f"the pictures have {len(found)} sizes, from {low[0]}x{low[1]} to {high[0]}x{high[1]} (height x width); "
            "give the size of the images, for example --size 64"
        )
    height, width = size or next(iter(found))
    return Shape(height, width, 1 if grey or all(form.mode in survey.GREY for form in forms) else 3)


def decoded(scratch: Path, root: Path, seen: Seen, image: Shape, preparation: Preparation) -> tuple[Seen, Rows]:
    """Decodes all pictures into a file; those that turn out to be damaged are left out."""
    work = partial(tried, image=image, preparation=preparation)
    whole, damaged = [], list(seen.damaged)
    with writing(scratch, {"images": (np.uint8, sizes(len(seen.pictures), image))}) as arrays:
        paths = [root / picture.path for picture in seen.pictures]
        for place, answer in enumerate(on_all_cores(work, paths, "decoding")):
            if isinstance(answer, str):
                damaged.append(Left(seen.pictures[place].path, answer))
            else:
                arrays["images"][place] = answer
                whole.append(place)
    images = Rows((mapped(scratch)["images"],), np.array(whole, np.int64))
    left = seen._replace(
        pictures=[seen.pictures[place] for place in whole], forms=[seen.forms[place] for place in whole]
    )
    return left._replace(damaged=damaged), images


def tried(path: Path, image: Shape, preparation: Preparation) -> Bytes | str:
    """The model's image of a picture, or why there is none."""
    try:
        return prepare.image(path.read_bytes(), image, preparation)
    except (InputError, OSError) as error:
        return str(error)


def sided(pictures: Sequence[Picture], images: Rows, *, share: float, keep_together: bool) -> Sides:
    """Gives each picture its side: that of its folder or table, or a stratified share for testing.

    Equal pixels and groups stay on one side; with keep_together, pictures that look alike do as well.
    """
    names = survey.classes(pictures)
    labels = np.array([names.index(picture.label) for picture in pictures])
    equal, found = likeness.identities(images), likeness.hashes(images)
    groups = [picture.group for picture in pictures]
    clusters = likeness.clusters(equal, groups, found if keep_together else None)
    if keep_together:
        unchained(likeness.looks(found))
    if pictures[0].split:
        held = np.array([picture.split == "test" for picture in pictures])
        held, notes = own_sides(held, clusters, groups, keep_together=keep_together)
    else:
        held = holdout.chosen(labels, clusters, names, share)
        notes = [f"for testing: {held.sum():,} of {len(held):,} pictures, of each class the same share"]
    pairs = likeness.copies(found, ~held)
    notes += repeated(equal, labels, held, pairs)
    tied = named(pictures, clusters) if keep_together else groups
    chosen = [
        picture._replace(split="test" if outside else "train", group=group)
        for picture, outside, group in zip(pictures, held.tolist(), tied, strict=True)
    ]
    return Sides(chosen, pairs, notes)


def unchained(clusters: NDArray[np.int64]) -> None:
    """InputError if one cluster has so many of the pictures that nothing could be split."""
    most = int(np.bincount(clusters).max())
    if most > max(FEW, CHAINED * len(clusters)):
        raise InputError(
            f"{most:,} of the {len(clusters):,} pictures look alike, one like the next: they are too plain to tell by "
            "their look; leave --keep-together out"
        )


def own_sides(
    held: NDArray[np.bool_], clusters: NDArray[np.int64], groups: Sequence[str], *, keep_together: bool
) -> tuple[NDArray[np.bool_], list[str]]:
    """The sides that the folder or table gives; with keep_together, test pictures of training's clusters join them."""
    if keep_together:
        trained = np.isin(clusters, clusters[~held])
        moved = int((held & trained).sum())
        notes = [f"test pictures that look like training pictures and now join them: {moved:,}"] if moved else []
        return held & ~trained, notes
    side: dict[str, bool] = {}
    for group, test in zip(groups, held.tolist(), strict=True):
        if group and side.setdefault(group, test) != test:
            raise InputError(
                f"the group {group} is in training and in test; give it one split, or add --keep-together, which "
                "trains with all of it"
            )
    return held, []


def repeated(
    equal: NDArray[np.int64], labels: NDArray[np.int64], held: NDArray[np.bool_], pairs: Sequence[tuple[int, int]]
) -> list[str]:
    """What there is to say of equal images, and of those that look alike across the split."""
    copies = int((equal != np.arange(len(equal))).sum())
    leaked = int(np.isin(equal[held], equal[~held]).sum())
    torn = int((labels != labels[equal]).sum())
    alike = len(pairs) - leaked
    notes = {
        f"with the same pixels as an earlier picture: {copies:,}": copies,
        f"of these with another class, so one of the two labels is wrong: {torn:,}": torn,
        f"test pictures that are training pictures too: {leaked:,}; dvc repro will not go on with them: adopt again "
        "with --keep-together, or allow a share of them as leakage, under bounds": leaked,
        f"test pictures that look like a training picture: {alike:,}; --keep-together puts such on one side": alike > 0,
    }
    return [note for note, holds in notes.items() if holds]


def named(pictures: Sequence[Picture], clusters: NDArray[np.int64]) -> list[str]:
    """A group for each cluster of several pictures: that of one of them, or else the first one's path."""
    names: dict[int, str] = {}
    for picture, cluster in sorted(zip(pictures, clusters.tolist(), strict=True), key=lambda one: not one[0].group):
        names.setdefault(cluster, picture.group or picture.path)
    several = np.bincount(clusters) > 1
    return [
        names[cluster] if several[cluster] else picture.group
        for picture, cluster in zip(pictures, clusters.tolist(), strict=True)
    ]


def lines(pictures: Sequence[Picture], forms: Sequence[Form]) -> list[Line]:
    """The lines of the manifest."""
    return [Line(*picture, form.sha256) for picture, form in zip(pictures, forms, strict=True)]
