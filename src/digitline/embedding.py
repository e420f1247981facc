"""The images of a set as points of a plane, by what the last layer of a network is given."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

PERPLEXITY = 30.0


def linear(features: Floats) -> tuple[Floats, Floats]:
    """The first two principal components [N, 2] of features [N, D], and the shares of the variance that they hold."""
    centred = (features - features.mean(0)).astype(np.float64)
    shares, directions = np.linalg.eigh(centred.T @ centred)  # in rising order
    first = directions[:, -2:][:, ::-1]
    first = first * np.sign(first[np.abs(first).argmax(0), [0, 1]])  # an axis may point either way: settle it
    return centred @ first, shares[:-3:-1] / shares.sum()


def neighbourly(features: Floats) -> Floats:
    """Places [N, 2] that keep neighbours together (t-SNE: van der Maaten & Hinton, 2008), of 50 components or less."""
    from sklearn.manifold import TSNE  # takes a second

    centred = (features - features.mean(0)).astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    few = centred @ directions[:, -50:]
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    places: Floats = TSNE(perplexity=perplexity, init="pca", max_iter=500, random_state=0, n_jobs=1).fit_transform(few)
    return places
