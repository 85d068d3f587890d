"""Finding problems in image data: copies, near copies, and files whose suffix does not match their content."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dlcli.data.files import AnyPath
from dlcli.data.images.formats import FORMATS
from dlcli.data.splits import evenly_spaced

SIDE = 32  # of the thumbnails used to compare images
HASH_SIDE = 8  # of the grid of a perceptual hash: 64 bits
MAX_BITS = 5  # by which the hashes of near copies may differ
MIN_CORRELATION = 0.995  # of the thumbnails of near copies: above 0.996 after resizing or another JPEG compression, and
# below 0.995 for any two of 20,000 MNIST digits
MAX_PAIRS = 100_000  # of near copies
NUM_DIRECTIONS = 16  # in which neighbors are looked for
NUM_FITTED = 2000  # images to which the directions are fitted
PAIRS_AT_A_TIME = 2**20  # of neighbors; bounds the memory
CHUNK = 1024  # pairs of thumbnails that are compared at a time

Pair = tuple[int, int]
Array = NDArray[np.float32]
Positions = NDArray[np.int64]


def has_wrong_suffix(path: AnyPath, image_format: str) -> bool:
    """Whether a file's suffix is that of another format than its content."""
    return os.path.splitext(path)[1].lower() not in FORMATS[image_format].suffixes


def copies(digests: Sequence[str]) -> list[list[int]]:
    """The positions of the samples with the same content, for each content that occurs more than once."""
    positions: dict[str, list[int]] = {}
    for position, digest in enumerate(digests):
        positions.setdefault(digest, []).append(position)
    return [members for members in positions.values() if len(members) > 1]


def near_copies(thumbnails: NDArray[np.uint8], digests: Sequence[str]) -> list[Pair]:
    """Pairs of images that look alike but have different contents; at most MAX_PAIRS.

    Images that are near each other in a projection are compared by a difference hash (whether each cell of an 8x8 grid
    is brighter than its right neighbor), then by their thumbnails, because the hash alone matches any two plain images.

    Args:
        thumbnails: grayscale ``[n, SIDE, SIDE]``.
        digests: of the contents; pairs with the same digest are left out.
    """
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.maximum(length, 1e-6)
    has_contrast = np.flatnonzero(length[:, 0] > 1e-6)  # a plain image has no near copies
    hashes = _difference_hashes(thumbnails)
    found: list[Pair] = []
    for one, other in _neighbors(flat, has_contrast):
        is_near = np.bitwise_count(hashes[one] ^ hashes[other]) <= MAX_BITS
        one, other = one[is_near], other[is_near]
        for i in range(0, len(one), CHUNK):
            a, b = one[i : i + CHUNK], other[i : i + CHUNK]
            alike = np.einsum("ij,ij->i", flat[a], flat[b]) >= MIN_CORRELATION
            pairs = zip(a[alike].tolist(), b[alike].tolist(), strict=True)
            found += [pair for pair in pairs if digests[pair[0]] != digests[pair[1]]]
            if len(found) >= MAX_PAIRS:
                return found[:MAX_PAIRS]
    return found


def _neighbors(flat: Array, positions: Positions) -> Iterator[tuple[Positions, Positions]]:
    """Pairs of these positions, the smaller first, among which are all whose images are as similar as near copies.

    Unit vectors with a correlation of ``c`` are ``sqrt(2 - 2c)`` apart, and not farther in any projection: neighbors in
    a few directions in which the images differ most are found by a k-d tree, in a time that hardly grows faster than
    their number while few images are alike.

    Args:
        flat: unit vectors ``[n, SIDE * SIDE]``.
    """
    points = _projected(flat)[positions]
    tree = cKDTree(points)
    radius = math.sqrt(2 - 2 * MIN_CORRELATION) + 1e-4  # with room for rounding
    counts = tree.query_ball_point(points, radius, return_length=True)
    crowded = np.flatnonzero(counts > 1)  # each image is its own neighbor
    parts = np.cumsum(counts[crowded]) // PAIRS_AT_A_TIME
    for start, stop in itertools.pairwise([*np.flatnonzero(np.diff(parts, prepend=-1)), len(crowded)]):
        part = crowded[start:stop]
        near = tree.query_ball_point(points[part], radius, return_sorted=True)
        one = np.repeat(part, [len(own) for own in near])
        other = np.concatenate([np.asarray(own, np.int64) for own in near])
        yield positions[one[one < other]], positions[other[one < other]]


def _projected(flat: Array) -> Array:
    """The vectors along the NUM_DIRECTIONS in which some of them differ most, of halved thumbnails."""
    halved = SIDE // 2
    coarse = flat.reshape(-1, halved, 2, halved, 2).sum(axis=(2, 4)).reshape(-1, halved**2) / 2  # orthonormal
    some = coarse[evenly_spaced(len(coarse), NUM_FITTED)]
    directions = np.linalg.eigh(some.T @ some)[1][:, -NUM_DIRECTIONS:]
    projected: Array = coarse @ directions
    return projected


def _difference_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One 64-bit hash for each thumbnail."""
    cells = thumbnails.reshape(-1, HASH_SIDE, SIDE // HASH_SIDE, SIDE).mean(axis=2)  # [n, 8, SIDE]
    edges = np.linspace(0, SIDE, HASH_SIDE + 2).round().astype(int)  # of nine columns, for eight differences
    columns = np.stack([cells[:, :, a:b].mean(axis=2) for a, b in itertools.pairwise(edges)], axis=2)
    bits = columns[:, :, 1:] > columns[:, :, :-1]
    packed = np.packbits(bits.reshape(len(thumbnails), -1), axis=1)
    return packed.view(np.uint64)[:, 0]
