"""The images of a set as points of a plane, by what the last layer of a network is given."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from digitline.measure.rounding import decimals, together

Floats = NDArray[np.floating]

PERPLEXITY = 30.0
SOLVER = "full"  # a decomposition of all of the matrix, without chance


def linear(features: Floats) -> tuple[Floats, Floats]:
    """The first two principal components [N, 2] of features [N, D], and the shares of the variance that they hold."""
    return components(features, 2)


def neighbourly(features: Floats) -> Floats:
    """Places [N, 2] that keep neighbours together (t-SNE: van der Maaten & Hinton, 2008), of 50 components or less."""
    from sklearn.manifold import TSNE  # takes a second

    # Its descent makes noise large, so it starts from rounded numbers. What is left are the distances, which go through
    # BLAS but are then held in single precision, and the exp of the machine's C library.
    few, _ = components(features, 50)
    start = few[:, :2] / few[:, 0].std() * 1e-4
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    with threadpool_limits(1):  # the sums of several threads depend on their number
        places: Floats = TSNE(perplexity=perplexity, init=start, max_iter=500, n_jobs=1).fit_transform(few)
    return together(places)


def components(features: Floats, count: int) -> tuple[Floats, Floats]:
    """The first principal components [N, count] of features [N, D], or all there are, and their shares of the variance.

    To four digits of the largest place: those are the same whichever kernel multiplied the matrices.
    """
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *features.shape), svd_solver=SOLVER)
    with threadpool_limits(1):
        places = pca.fit_transform(features.astype(np.float64))
    return together(places * signs(pca.components_)), pca.explained_variance_ratio_


def signs(directions: Floats) -> Floats:
    """What turns each direction [count, D] so that its largest part is positive, the first one of equals.

    Rounded first: a direction may have two parts of the same size and of opposite signs.
    """
    largest = np.abs(decimals(directions)).argmax(1)
    return np.where(directions[np.arange(len(directions)), largest] < 0, -1.0, 1.0)
