"""Checks methods of attribution on a run's images: randomized weights, insertion and deletion, grid pointing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.explanation.baselines import BASELINES
from dlcli.explanation.checks.grid import mosaics, pointing
from dlcli.explanation.checks.naive_maps import naive_maps
from dlcli.explanation.checks.pixel_order import areas
from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, PARTS, correlations
from dlcli.explanation.logits import Classifier
from dlcli.explanation.method import Method, in_parts
from dlcli.tasks.explanation import SEEDS, statistic, with_verdict
from dlcli.tasks.images.aspects import Aspect
from dlcli.tasks.images.attribution import WITH_LAYER
from dlcli.tasks.images.explained_tiles import load_views

ONLY_CLASSES = {
    "insertion and deletion": "they follow the probability of a class of the whole image",
    "grid pointing": "it looks for an image of one class among images of others",
}


def check_methods(
    methods: Sequence[tuple[Aspect, Mapping[str, Method]]],
    samples: Samples,
    index: NDArray[np.int64],
    *,
    layers: Mapping[str, str],
    baseline: str,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Check methods on images, for what is explained of each of them unless something is named.

    Weights are randomized for every aspect; the other checks are for classes of whole images alone.

    Args:
        methods: of each aspect, by name; at most one aspect is a class of the whole image.
        index: the positions of the images.
        layers: of Grad-CAM, by the aspect's name; empty without it.
        baseline: what pixels are replaced by for insertion and deletion.
        progress: called with the number of checks that are done, and of all.

    Returns:
        The content of check.json: for each check and method, and for the maps that know nothing of the network, the
        mean, its standard error and the number of images.
    """
    images = load_views(methods[0][0], samples, index).pixels.astype(np.float32)
    is_of_classes = [isinstance(aspect.network, Classifier) for aspect, _ in methods]
    num_naive = len(naive_maps(images[:1]))
    total = sum(len(PARTS) * len(of_aspect) for _, of_aspect in methods)
    total += sum(len(of) + num_naive for (_, of), is_one in zip(methods, is_of_classes, strict=True) if is_one)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    randomization: dict[str, Any] = {}
    ordered: dict[str, Any] = {"insertion": {}, "deletion": {}, "grid_pointing": _no_mosaics()}
    for aspect, of_aspect in methods:
        chosen = aspect.choose(images, samples, index)
        kept = np.arange(len(index)) if chosen.exists is None else np.flatnonzero(chosen.exists)
        if not len(kept):
            continue
        targets = chosen.targets[kept]
        for name, method in of_aspect.items():
            layer = layers.get(aspect.name) if name in WITH_LAYER else None
            found = _randomized(aspect, method, images[kept], targets, step)
            randomization[aspect.label(name)] = found | {"layer": layer}
        if isinstance(aspect.network, Classifier):
            labels = samples.labels[index[kept]]
            of_labels = {aspect.label(name): method for name, method in of_aspect.items()}
            ordered = _ordered(aspect.network, of_labels, images[kept], labels, baseline, step)
    return {
        "images": len(images),
        "baseline": baseline,
        "randomization": {"seeds": len(SEEDS), "largest_correlation": LARGEST_CORRELATION, "methods": randomization},
        **ordered,
        "not_made": {} if any(is_of_classes) else ONLY_CLASSES,
    }


def _randomized(
    aspect: Aspect, method: Method, images: NDArray[np.float32], targets: NDArray[Any], step: Callable[[], None]
) -> dict[str, Any]:
    """The correlations with maps of randomized weights, and the verdict, with what makes it weak."""
    parts: dict[str, Any] = {}
    for part in PARTS:
        values = correlations(aspect.network, in_parts(method), images, targets, part=part, seeds=SEEDS)
        parts[part] = statistic(values.values.mean(axis=1)) | {"constant_maps": values.num_constant}
        step()
    return with_verdict(parts, noun="image")


def _no_mosaics() -> dict[str, Any]:
    return {"mosaics": 0, "mass": {}, "quarter": {}}


def _ordered(
    network: Classifier,
    methods: Mapping[str, Method],
    images: NDArray[np.float32],
    labels: NDArray[np.int32],
    baseline: str,
    step: Callable[[], None],
) -> dict[str, Any]:
    """Insertion, deletion and grid pointing, for the classes that the network predicts.

    Args:
        labels: the classes of the images ``[n]``, negative where they are not known; mosaics are made of the images
            that are predicted right. None are made for several labels per image, which a mosaic would mix.
    """
    classes = np.asarray(network(images)).argmax(axis=1).astype(np.int32)
    is_right = ((classes == labels) | (labels < 0)) & (not network.is_multilabel)
    grid = mosaics(images[is_right], classes[is_right])
    of_images = {name: in_parts(method)(images, classes).maps for name, method in methods.items()} | naive_maps(images)
    of_grid = {name: in_parts(method)(grid.images, grid.classes).maps for name, method in methods.items()}
    of_grid |= naive_maps(grid.images)
    insertion, deletion, mass, quarter = {}, {}, {}, {}
    for name, maps in of_images.items():
        inserted, deleted = areas(network, images, classes, maps, baseline=BASELINES[baseline])
        insertion[name], deletion[name] = statistic(inserted), statistic(deleted)
        if len(grid.images):
            shares, is_largest = pointing(of_grid[name], grid.quarters)
            mass[name], quarter[name] = statistic(shares), statistic(is_largest)
        step()
    return {
        "insertion": insertion,
        "deletion": deletion,
        "grid_pointing": {"mosaics": len(grid.images), "mass": mass, "quarter": quarter},
    }
