"""The images of a set as points of a plane, by what the last layer of a network is given."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.floating]

PERPLEXITY = 30.0


def linear(features: Floats) -> tuple[Floats, Floats]:
    """The first two principal components [N, 2] of features [N, D], and the shares of the variance that they hold."""
    places, shares = components(features, 2)
    return places, shares[:2] / shares.sum()


def neighbourly(features: Floats) -> Floats:
    """Places [N, 2] that keep neighbours together (t-SNE: van der Maaten & Hinton, 2008), of 50 components or less."""
    from sklearn.manifold import TSNE  # takes a second

    few, _ = components(features, 50)
    start = few[:, :2] / few[:, 0].std() * 1e-4
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # the sums of several threads depend on their number
        places: Floats = TSNE(perplexity=perplexity, init=start, max_iter=500, n_jobs=1).fit_transform(few)
    return places


def components(features: Floats, count: int) -> tuple[Floats, Floats]:
    """The first principal components [N, count] of features [N, D], and the variance along each of all."""
    centred = (features - features.mean(0)).astype(np.float64)
    with threadpool_limits(1):
        variances, directions = np.linalg.eigh(centred.T @ centred)  # in rising order
        first = directions[:, ::-1][:, :count]
        signs = np.sign(first[np.abs(first).argmax(0), range(first.shape[1])])  # an axis may point either way
        return centred @ (first * signs), variances[::-1]
