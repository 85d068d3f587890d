"""How well the anchors of a recipe, or the levels of a network without anchors, fit the training boxes of each class:
others are learned late or not at all."""

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.anchor_shapes import GOOD, Anchors, is_small, shape_iou, suggest
from dlcli.data.boxes.object_targets import ObjectsTarget
from dlcli.data.boxes.objects import objects_of
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.recipe.sections.detection_model import COARSEST_BACKBONE_LEVEL, FINEST_LEVEL, AnyDetector, Fcos
from dlcli.tasks.inspection import some

POOR = 0.8  # of the boxes of a class: a smaller proportion with a similar anchor is reported


def trained_target(samples: Samples, policy: ImagePolicy | None) -> ObjectsTarget:
    """The boxes to train on."""
    objects = objects_of(samples)
    assert objects is not None
    return objects.target(policy)


def sides_in_input(target: ObjectsTarget, policy: ImagePolicy) -> NDArray[np.float64]:
    """Width and height of the boxes to train on in pixels of the network's input ``[m, 2]``."""
    boxes = target.boxes.astype(np.float64)
    sizes = np.array(policy.image_size) if target.sizes is None else target.sizes[target.owners]
    return np.asarray((boxes[:, 2:] - boxes[:, :2]) * sizes[..., ::-1])


def describe_poor_fit(train: Samples, policy: ImagePolicy, classes: tuple[str, ...], model: AnyDetector) -> str:
    """A line about classes of whose training boxes few have a similar anchor, with anchors that fit; without anchors,
    about those whose objects are small for the finest level. Empty without such classes.

    A box has a similar anchor if its intersection over union with one is at least GOOD where both have the same center.
    """
    target = trained_target(train, policy)
    sides = sides_in_input(target, policy)
    if not len(sides):
        return ""
    if isinstance(model, Fcos):
        return _describe_small(sides, target, classes, model)
    anchors = Anchors(model.levels, model.anchor_sizes, model.anchor_ratios)
    fits = shape_iou(sides, anchors) >= GOOD
    shares = {name: fits[target.labels == label] for label, name in enumerate(classes)}
    poor = [f"{name} ({own.mean():.0%})" for name, own in shares.items() if len(own) and own.mean() < POOR]
    if not poor:
        return ""
    best = suggest(sides)
    return (
        f"few boxes of these classes have an anchor of a similar size and shape (IoU >= {GOOD:g}): {some(poor)}. "
        f"model.levels: {list(best.levels)}, anchor_sizes: {list(best.sizes)} and anchor_ratios: {list(best.ratios)} "
        f"fit {(shape_iou(sides, best) >= GOOD).mean():.0%} of all boxes"
    )


def _describe_small(sides: NDArray[np.float64], target: ObjectsTarget, classes: tuple[str, ...], model: Fcos) -> str:
    """A line about classes whose objects are small for the finest level of a network without anchors."""
    finest = model.levels[0]
    sizes = np.sqrt(sides.prod(axis=1))
    of_class = {name: sizes[target.labels == label] for label, name in enumerate(classes)}
    medians = {name: float(np.median(own)) for name, own in of_class.items() if len(own)}
    small = [f"{name} ({size:.0f} pixels)" for name, size in medians.items() if is_small(size, finest)]
    if not small or finest <= FINEST_LEVEL:
        return ""
    return (
        f"the objects of these classes cover few positions of the finest level, which has a stride of {2**finest} "
        f"pixels: {some(small)}. model.levels: {list(range(finest - 1, max(COARSEST_BACKBONE_LEVEL, finest) + 1))} "
        "finds small objects better, and takes more time"
    )
