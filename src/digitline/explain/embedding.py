"""The images of a set as points in a plane, by the inputs of a network's last layer."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from digitline.measure.rounding import decimals, together

Floats = NDArray[np.floating]

PERPLEXITY = 30.0
SOLVER = "full"  # decomposes the whole matrix, without randomness


def linear(features: Floats) -> tuple[Floats, Floats]:
    """The first two principal components [N, 2] of features [N, D], and their shares of the variance."""
    return components(features, 2)


def neighbourly(features: Floats) -> Floats:
    """Positions [N, 2] by t-SNE (van der Maaten & Hinton, 2008) from up to 50 principal components."""
    from sklearn.manifold import TSNE  # takes a second to import

    # Its gradient descent amplifies noise, so it starts from rounded numbers. What remains are the distances, which use
    # BLAS but are then kept in single precision, and the exp of the machine's C library.
    few, _ = components(features, 50)
    start = few[:, :2] / few[:, 0].std() * 1e-4
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # the sums of several threads depend on their number
        places: Floats = TSNE(perplexity=perplexity, init=start, max_iter=500, n_jobs=1).fit_transform(few)
    return together(places)


def components(features: Floats, count: int) -> tuple[Floats, Floats]:
    """The first principal components [N, count] of features [N, D], at most all, and their shares of the variance.

    Rounded to four digits of the largest value, which are the same for every BLAS kernel.
    """
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *features.shape), svd_solver=SOLVER)
    with threadpool_limits(1):
        places = pca.fit_transform(features.astype(np.float64))
    return together(places * signs(pca.components_)), pca.explained_variance_ratio_


def signs(directions: Floats) -> Floats:
    """The sign that makes the largest part of each direction [count, D] positive, the first one among equals.

    Rounded first, because a direction may have two parts of the same size and opposite signs.
    """
    largest = np.abs(decimals(directions)).argmax(1)
    return np.where(directions[np.arange(len(directions)), largest] < 0, -1.0, 1.0)
