"""Checks methods of attribution on a run's images: randomized weights, insertion and deletion, grid pointing."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.baselines import BASELINES
from dlcli.explanation.checks.grid import mosaics, pointing
from dlcli.explanation.checks.naive_maps import naive_maps
from dlcli.explanation.checks.pixel_order import areas
from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, PARTS, correlations, is_failed
from dlcli.explanation.logits import Classifier
from dlcli.explanation.method import Method, batches, in_parts
from dlcli.tasks.explanation import FAILED, PASSED, SEEDS, statistic

AT_ONCE = 16


def check_methods(
    network: Classifier,
    methods: Mapping[str, Method],
    images: NDArray[np.float32],
    labels: NDArray[np.int32],
    *,
    baseline: str,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Check methods on images, for the classes that the network predicts.

    Args:
        images: ``[n, height, width, channels]`` in [0, 255].
        labels: their classes ``[n]``, negative where they are not known; mosaics are made of the images that are
            predicted right. None are made for several labels per image, which a mosaic would mix.
        baseline: what pixels are replaced by for insertion and deletion.
        progress: called with the number of checks that are done, and of all.

    Returns:
        The content of check.json: for each check and method, and for the maps that know nothing of the network, the
        mean, its standard error and the number of images.
    """
    logits = np.concatenate([network(images[part]).numpy() for part in batches(len(images), AT_ONCE)])
    classes = logits.argmax(axis=1).astype(np.int32)
    is_right = ((classes == labels) | (labels < 0)) & (not network.is_multilabel)
    grid = mosaics(images[is_right], classes[is_right])
    names = [*methods, *naive_maps(images[:1])]
    total, done = len(names) + len(PARTS) * len(methods), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    randomization: dict[str, Any] = {}
    for name, method in methods.items():
        parts: dict[str, Any] = {}
        for part in PARTS:
            found = correlations(network, in_parts(method), images, classes, part=part, seeds=SEEDS)
            parts[part] = statistic(found.values.mean(axis=1)) | {"constant_maps": found.num_constant}
            step()
        is_bad = is_failed([parts[part]["mean"] for part in PARTS])
        randomization[name] = parts | {"verdict": FAILED if is_bad else PASSED}
    of_images = {name: in_parts(method)(images, classes).maps for name, method in methods.items()} | naive_maps(images)
    of_grid = {name: in_parts(method)(grid.images, grid.classes).maps for name, method in methods.items()}
    of_grid |= naive_maps(grid.images)
    insertion, deletion, mass, quarter = {}, {}, {}, {}
    for name in names:
        inserted, deleted = areas(network, images, classes, of_images[name], baseline=BASELINES[baseline])
        insertion[name], deletion[name] = statistic(inserted), statistic(deleted)
        if len(grid.images):
            shares, is_largest = pointing(of_grid[name], grid.quarters)
            mass[name], quarter[name] = statistic(shares), statistic(is_largest)
        step()
    return {
        "images": len(images),
        "baseline": baseline,
        "randomization": {"seeds": len(SEEDS), "largest_correlation": LARGEST_CORRELATION, "methods": randomization},
        "insertion": insertion,
        "deletion": deletion,
        "grid_pointing": {"mosaics": len(grid.images), "mass": mass, "quarter": quarter},
    }
