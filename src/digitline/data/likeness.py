"""Which images look alike: equal pixels, and perceptual hashes that differ in few bits."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitline.data.dataset import Bytes, Images, chunks

Indices = NDArray[np.int64]
Hashes = NDArray[np.uint64]

SIDE, LOW = 32, 8  # of the image that is transformed, and of the lowest frequencies, one bit each
NEAR = 4  # bits of 64; of two images that differ in as many, at least one of five bands is equal
BANDS = [(0, 13), (13, 13), (26, 13), (39, 13), (52, 12)]  # first bit and number of bits


def identities(images: Images) -> Indices:
    """A number for each image [N, ...], the same for equal pixels: the place of the first of them."""
    first: dict[bytes, int] = {}
    each = (image for some in chunks(images) for image in some)
    found = [first.setdefault(hashlib.sha256(image.tobytes()).digest(), place) for place, image in enumerate(each)]
    return np.array(found, np.int64)


def hashes(images: Images) -> Hashes:
    """The perceptual hash of each image: which of its low frequencies are above their median (pHash, Zauner 2010)."""
    return np.concatenate([hashed(some) for some in chunks(images, 512)])


def hashed(images: Bytes) -> Hashes:
    """The same, for as many images as fit into memory."""
    grey = images.astype(np.float32) if images.ndim == 3 else images @ np.array([0.299, 0.587, 0.114], np.float32)
    small = reduced(grey.shape[1]) @ grey @ reduced(grey.shape[2]).T  # [N, 32, 32]
    frequency = np.arange(LOW)[:, None] * (np.arange(SIDE) + 0.5)
    cosines = np.cos(np.pi * frequency / SIDE)
    lowest = np.round(cosines @ small @ cosines.T, 2).reshape(len(images), -1)
    bits = lowest > np.median(lowest, axis=1, keepdims=True)
    packed: Hashes = np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
    return packed


def reduced(side: int) -> NDArray[np.float64]:
    """The means of 32 equal parts of a side, as a matrix [32, side]."""
    edges = np.linspace(0, side, SIDE + 1)
    covered = np.minimum(edges[1:, None], np.arange(1, side + 1)) - np.maximum(edges[:-1, None], np.arange(side))
    shares: NDArray[np.float64] = covered.clip(0) * SIDE / side
    return shares


def near(values: Hashes) -> Indices:
    """The pairs [M, 2] among different hashes that differ in at most NEAR bits.

    Only hashes with an equal band are compared, in their order in that band, at growing distances.
    """
    pairs = [np.empty((0, 2), np.int64)]
    for start, length in BANDS:
        band = (values >> np.uint64(start)) & np.uint64(2**length - 1)
        order = np.argsort(band, kind="stable")
        step, here = 1, np.arange(len(order) - 1)
        while len(here := here[here + step < len(order)]):
            here = here[band[order[here]] == band[order[here + step]]]
            one, other = order[here], order[here + step]
            close = np.bitwise_count(values[one] ^ values[other]) <= NEAR
            pairs.append(np.sort(np.stack([one, other], 1)[close], 1))
            step += 1
    return np.unique(np.concatenate(pairs), axis=0)


def joined(count: int, pairs: Indices) -> Indices:
    """The number of each element's component, if the pairs connect elements."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (count, count))
    found: Indices = connected_components(links, directed=False)[1].astype(np.int64)
    return found


def alike(numbers: Indices) -> Indices:
    """Pairs [M, 2] that connect all elements with the same number."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order][1:] == numbers[order][:-1]
    return np.stack([order[:-1][same], order[1:][same]], 1)


def copies(found: Hashes, inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """For each image outside that looks like one inside: the two, the nearest and first one inside."""
    values, which = np.unique(found, return_inverse=True)
    first = np.full(len(values), -1)
    places = np.flatnonzero(inside)[::-1]
    first[which[places]] = places
    pairs = near(values)
    apart = np.bitwise_count(values[pairs[:, 0]] ^ values[pairs[:, 1]])
    nearest = first.copy()
    for bits in range(NEAR, -1, -1):  # the nearest last, so that it stays
        for one, other in ((0, 1), (1, 0)):
            some = pairs[(apart == bits) & (first[pairs[:, other]] >= 0)]
            nearest[some[:, one]] = first[some[:, other]]
    nearest[first >= 0] = first[first >= 0]
    return [(int(place), int(nearest[which[place]])) for place in np.flatnonzero(~inside) if nearest[which[place]] >= 0]


def clusters(equal: Indices, groups: Sequence[str], found: Hashes | None = None) -> Indices:
    """The number of each image's cluster: of equal pixels, of one group, and, if hashes are given, of one look."""
    names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    numbers = np.array([names[name] if name else len(names) + place for place, name in enumerate(groups)], np.int64)
    links = [alike(equal), alike(numbers)]
    if found is not None:
        links.append(alike(looks(found)))
    return joined(len(equal), np.concatenate(links))


def looks(found: Hashes) -> Indices:
    """The number of each image's cluster of images that look alike, one like the next."""
    values, which = np.unique(found, return_inverse=True)
    return joined(len(values), near(values))[which]
