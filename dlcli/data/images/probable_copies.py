"""Finding images that are probably the same one: of other contrast or brightness, mirrored, slightly cropped, resized.

1. Candidates are near each other among 8x8 gray values without their mean and deviation, which contrast, brightness and
   compression hardly change. Trees that halve the images by random directions (Dasgupta and Freund 2008) bring each
   image together with a few others, of which the nearest are kept; mirrored images are in the same trees.
2. Candidates are compared by the correlation of their gray values, aligned as if one were cropped from the other, and
   by that of the detail that a blurred image lacks: two photos of a horizon correlate, but not in detail.
3. A pair counts only if each image is far nearer to the other than to most of its candidates. Otherwise different
   images of a kind in which all are alike, such as digits, would count as copies.

The time grows as n log n with the number of images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.duplicates import SIDE, Pair

NUM_TREES = 8
LEAF = 64  # at most, images that a tree does not divide further
NUM_CANDIDATES = 10  # of each image
COARSE = 8  # cells on a side where candidates are looked for
FINE = 16  # cells on a side where they are compared
MIN_COARSE = 0.75  # correlation of candidates that are aligned and compared
CROP = 0.05  # part of a side that a crop lacks
BLUR = 5  # cells; what a blur this wide leaves out is detail
MIN_DEVIATION = 0.5  # gray levels; an image with less has no copies
CHUNK = 512  # pairs or leaves at a time; bounds the memory

# chosen so that few different images count; docs/guide/data.md has what they find and miss
MIN_CORRELATION = 0.94
MIN_DETAIL = 0.75  # correlation of detail
MANY = 5  # candidates as near as a copy: copies of such an image cannot be distinguished from others of its kind
MAX_RATIO = 0.12  # of the distance of a pair to that of either image's candidate number MANY

Gray = NDArray[np.uint8]
Array = NDArray[np.float32]
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ProbableCopy:
    """Two images, by their positions, the smaller first; and how similar their gray values are when aligned."""

    pair: Pair
    correlation: float
    is_mirrored: bool


def find_probable_copies(thumbnails: Gray) -> tuple[list[ProbableCopy], int]:
    """The pairs of images that are probably the same, sorted, and the number of images that are like many others.

    Args:
        thumbnails: grayscale ``[n, SIDE, SIDE]``.
    """
    if len(thumbnails) < 2:
        return [], 0
    candidates, coarse = _candidates(thumbnails)
    pairs, is_mirrored, pair_of = _pairs(candidates)
    values, detail = np.full(len(pairs), -1, np.float32), np.zeros(len(pairs), np.float32)
    np.maximum.at(values, pair_of, coarse)
    aligned = np.flatnonzero((values >= MIN_COARSE) & (pairs[:, 0] != pairs[:, 1]))
    for start in range(0, len(aligned), CHUNK):
        part = aligned[start : start + CHUNK]
        one, other = thumbnails[pairs[part, 0]], thumbnails[pairs[part, 1]]
        other = np.where(is_mirrored[part, None, None], other[:, :, ::-1], other)
        values[part], detail[part] = _compare(one, other)
    is_alike = (values >= MIN_CORRELATION) & (detail >= MIN_DETAIL)
    distance = (1 - values) + (1 - detail)
    nearest = np.sort(distance[pair_of], axis=1)  # [n, candidates]
    limit = MAX_RATIO * nearest[:, min(MANY, nearest.shape[1]) - 1]
    is_copy = is_alike & (distance <= limit[pairs].min(axis=1))
    num_crowded = int((is_alike[pair_of].sum(axis=1) >= MANY).sum())
    found: dict[Pair, ProbableCopy] = {}
    for i in np.flatnonzero(is_copy)[np.argsort(values[is_copy], kind="stable")]:  # of a symmetric image the better
        pair = (int(pairs[i, 0]), int(pairs[i, 1]))
        found[pair] = ProbableCopy(pair, float(values[i]), bool(is_mirrored[i]))
    return [found[pair] for pair in sorted(found)], num_crowded


# Candidates -----------------------------------------------------------------------------------------------------------


def _candidates(thumbnails: Gray) -> tuple[Positions, Array]:
    """The candidates of each image and their correlations, ``[n, k]`` each, the nearest first.

    A candidate is a position, plus n if that image is mirrored; the image itself, with -1, where there are fewer.
    """
    num, step = len(thumbnails), SIDE // COARSE
    cells = thumbnails.reshape(num, COARSE, step, COARSE, step).mean(axis=(2, 4), dtype=np.float32)
    points = np.concatenate([_unit(cells), _unit(cells[:, :, ::-1])])
    random = np.random.default_rng(0)
    own = np.arange(num)[:, None]
    best, nearness = np.empty((num, 0), np.int64), np.empty((num, 0), np.float32)
    for _ in range(NUM_TREES):
        found, correlations = _nearest_in_leaves(points, _leaves(points, random))
        best, nearness = np.concatenate([best, found], axis=1), np.concatenate([nearness, correlations], axis=1)
        order = np.lexsort((-nearness, best))
        best, nearness = np.take_along_axis(best, order, 1), np.take_along_axis(nearness, order, 1)
        is_repeated = np.pad(best[:, 1:] == best[:, :-1], ((0, 0), (1, 0)))
        best, nearness = np.where(is_repeated, own, best), np.where(is_repeated, np.float32(-1), nearness)
        order = np.argsort(-nearness, axis=1, kind="stable")[:, :NUM_CANDIDATES]
        best, nearness = np.take_along_axis(best, order, 1), np.take_along_axis(nearness, order, 1)
    return best, nearness


def _leaves(points: Array, random: np.random.Generator) -> Positions:
    """The leaves of one tree, ``[leaves, size]``: each node is halved along the direction between two of its points."""
    num_leaves = 1
    while num_leaves * LEAF < len(points):
        num_leaves *= 2
    size = -(-len(points) // num_leaves)
    nodes = np.resize(random.permutation(len(points)), (1, num_leaves * size))  # a few points are in it twice
    while len(nodes) < num_leaves:
        one, other = np.take_along_axis(nodes, random.integers(nodes.shape[1], size=(len(nodes), 2)), 1).T
        places = np.einsum("nsd,nd->ns", points[nodes], points[one] - points[other])
        order = np.argsort(places, axis=1, kind="stable")
        nodes = np.take_along_axis(nodes, order, 1).reshape(2 * len(nodes), -1)
    return nodes


def _nearest_in_leaves(points: Array, leaves: Positions) -> tuple[Positions, Array]:
    """As :func:`_candidates`, of one tree, in any order."""
    num = len(points) // 2
    count = min(NUM_CANDIDATES, leaves.shape[1])
    found, correlations = np.repeat(np.arange(num)[:, None], count, axis=1), np.full((num, count), -1, np.float32)
    for start in range(0, len(leaves), CHUNK):
        members = leaves[start : start + CHUNK]
        near = points[members] @ points[members].transpose(0, 2, 1)
        near[members[:, :, None] % num == members[:, None, :] % num] = -1
        columns = np.argpartition(-near, count - 1, axis=2)[:, :, :count]
        is_original = members < num
        images = np.take_along_axis(np.broadcast_to(members[:, None, :], near.shape), columns, 2)
        found[members[is_original]] = images[is_original]
        correlations[members[is_original]] = np.take_along_axis(near, columns, 2)[is_original]
    return found, correlations


def _pairs(candidates: Positions) -> tuple[Positions, Flags, Positions]:
    """Distinct pairs ``[p, 2]``, the smaller position first; whether one is mirrored; the pair of each candidate."""
    num = len(candidates)
    own, other = np.arange(num)[:, None], candidates % num
    codes = (np.minimum(own, other) * num + np.maximum(own, other)) * 2 + candidates // num
    codes, pair_of = np.unique(codes, return_inverse=True)
    return np.stack(np.divmod(codes // 2, num), axis=1), codes % 2 == 1, pair_of.reshape(candidates.shape)


# Comparing ------------------------------------------------------------------------------------------------------------


def _compare(one: Gray, other: Gray) -> tuple[Array, Array]:
    """Correlations of pairs of images ``[p, SIDE, SIDE]``, of all values and of detail, of the crop that fits best."""
    whole_and_crops = "pd,pvd->pv"
    (values_one, detail_one), (values_other, detail_other) = _crops(one), _crops(other)
    correlations = [
        np.concatenate([np.einsum(whole_and_crops, a[:, 0], b), np.einsum(whole_and_crops, b[:, 0], a)], axis=1)
        for a, b in ((values_one, values_other), (detail_one, detail_other))
    ]
    best = np.argmax(correlations[0] + correlations[1], axis=1)[:, None]
    values, detail = (np.take_along_axis(array, best, 1)[:, 0] for array in correlations)
    return values, detail


def _crops(images: Gray) -> tuple[Array, Array]:
    """Unit vectors of the values and of the detail of 16 crops, ``[n, 16, FINE * FINE]``; the first is the whole."""
    lines = np.stack([_means(0, 0), _means(CROP, 0), _means(CROP, 0.5), _means(CROP, 1)])  # [4, FINE, SIDE]
    rows = lines[:, None] @ images.astype(np.float32)[:, None, None]  # [n, 4, 1, FINE, SIDE]
    crops = (rows @ lines.transpose(0, 2, 1)).reshape(-1, FINE, FINE)
    distance = np.abs(np.arange(FINE)[:, None] - np.arange(FINE))
    blur = (distance <= BLUR // 2).astype(np.float32)
    blur /= blur.sum(axis=1, keepdims=True)
    shape = (len(images), len(lines) ** 2, FINE**2)
    return _unit(crops).reshape(shape), _unit(crops - blur @ crops @ blur.T).reshape(shape)


def _means(crop: float, place: float) -> Array:
    """The mean over each of FINE equal parts of a line without a part ``crop`` of it: ``[FINE, SIDE]``."""
    start = SIDE * crop * place
    edges = np.linspace(start, start + SIDE * (1 - crop), FINE + 1)
    pixels = np.arange(SIDE)
    overlap = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    weights = np.clip(overlap, 0, None)
    result: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def _unit(cells: NDArray[np.floating]) -> Array:
    """Images ``[n, side, side]`` as vectors ``[n, side * side]`` of mean 0 and length 1, or 0 without contrast."""
    flat = cells.reshape(len(cells), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    has_contrast = length > MIN_DEVIATION * flat.shape[1] ** 0.5
    return np.where(has_contrast, flat / np.maximum(length, 1e-6), 0).astype(np.float32)
