"""Chooses test images where a data set has none of its own."""

import numpy as np
from numpy.typing import NDArray

from digitline.base.errors import InputError

SEED = 0


def chosen(
    labels: NDArray[np.int64], clusters: NDArray[np.int64], classes: list[str], share: float
) -> NDArray[np.bool_]:
    """Which images [N] are for testing: that share of each class, at least one, and whole clusters.

    A cluster is taken if it brings the classes' numbers nearer to what is wanted. InputError names a class that cannot
    be on both sides.
    """
    counts = np.bincount(labels, minlength=len(classes))
    missing = np.maximum(1, np.round(share * counts))
    order = np.argsort(clusters, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    held = np.zeros(len(labels), bool)
    for place in np.random.default_rng(SEED).permutation(len(members)):
        if taken(missing, np.bincount(labels[members[place]], minlength=len(classes))):
            held[members[place]] = True
    for label in np.flatnonzero(np.bincount(labels[held], minlength=len(classes)) == 0).tolist():
        held[smallest(labels, members, label)] = True
    for label, name in enumerate(classes):
        sides = held[labels == label]
        if sides.all() or not sides.any():
            raise InputError(
                f"the pictures of the class {name} are all of one group, or of groups with others, and cannot be in "
                "training and in test; give the groups more finely, or a split of your own"
            )
    return held


def taken(missing: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    """Whether a cluster with these numbers is taken; then they are no longer missing."""
    (some,) = np.nonzero(counts)
    left = missing[some] - counts[some]
    if np.square(left).sum() >= np.square(missing[some]).sum():
        return False
    missing[some] = left
    return True


def smallest(labels: NDArray[np.int64], members: list[NDArray[np.int64]], label: int) -> NDArray[np.int64]:
    """The smallest cluster with that label."""
    return min((some for some in members if (labels[some] == label).any()), key=len)
