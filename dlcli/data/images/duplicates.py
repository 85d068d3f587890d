"""Finding problems in image data: copies, near copies, and files whose suffix does not match their content."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.formats import FORMATS

SIDE = 32  # of the thumbnails used to compare images
HASH_SIDE = 8  # of the grid of a perceptual hash: 64 bits
MAX_BITS = 5  # by which the hashes of near copies may differ
MIN_CORRELATION = 0.995  # of the thumbnails of near copies: above 0.996 after resizing or another JPEG compression, and
# below 0.995 for any two of 20,000 MNIST digits
MAX_PAIRS = 100_000  # of near copies
PAIRS_AT_A_TIME = 2**20  # of hashes: they fit into a processor's cache

Pair = tuple[int, int]


def has_wrong_suffix(path: Path, image_format: str) -> bool:
    """Whether a file's suffix is that of another format than its content."""
    return path.suffix.lower() not in FORMATS[image_format].suffixes


def copies(digests: Sequence[str]) -> list[list[int]]:
    """The positions of the samples with the same content, for each content that occurs more than once."""
    positions: dict[str, list[int]] = {}
    for position, digest in enumerate(digests):
        positions.setdefault(digest, []).append(position)
    return [members for members in positions.values() if len(members) > 1]


def near_copies(thumbnails: NDArray[np.uint8], digests: Sequence[str]) -> list[Pair]:
    """Pairs of images that look alike but have different contents; at most MAX_PAIRS.

    Images are compared by a difference hash (whether each cell of an 8x8 grid is brighter than its right neighbor),
    then by their thumbnails, because the hash alone matches any two plain images.

    Args:
        thumbnails: grayscale ``[n, SIDE, SIDE]``.
        digests: of the contents; pairs with the same digest are left out.
    """
    hashes = _difference_hashes(thumbnails)
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)  # a plain image has no near copies
    found: list[Pair] = []
    step = max(1, PAIRS_AT_A_TIME // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        stop = min(start + step, len(hashes))
        distance = np.bitwise_count(hashes[start:stop, None] ^ hashes[None, start:])
        rows, columns = np.nonzero(distance <= MAX_BITS)
        one, other = rows + start, columns + start
        one, other = one[one < other], other[one < other]
        for i in range(0, len(one), 1024):
            a, b = one[i : i + 1024], other[i : i + 1024]
            alike = np.einsum("ij,ij->i", flat[a], flat[b]) >= MIN_CORRELATION
            pairs = zip(a[alike].tolist(), b[alike].tolist(), strict=True)
            found += [pair for pair in pairs if digests[pair[0]] != digests[pair[1]]]
            if len(found) >= MAX_PAIRS:
                return found[:MAX_PAIRS]
    return found


def _difference_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One 64-bit hash for each thumbnail."""
    cells = thumbnails.reshape(-1, HASH_SIDE, SIDE // HASH_SIDE, SIDE).mean(axis=2)  # [n, 8, SIDE]
    edges = np.linspace(0, SIDE, HASH_SIDE + 2).round().astype(int)  # of nine columns, for eight differences
    columns = np.stack([cells[:, :, a:b].mean(axis=2) for a, b in itertools.pairwise(edges)], axis=2)
    bits = columns[:, :, 1:] > columns[:, :, :-1]
    packed = np.packbits(bits.reshape(len(thumbnails), -1), axis=1)
    return packed.view(np.uint64)[:, 0]
