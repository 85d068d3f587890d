"""What is explained of a detector: the class score of one box.

The box is chosen before, from the image as it is: the anchor or position of the maps that produced it, or the proposal,
which then stays where it is.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import in_frames
from dlcli.data.images.samples import Samples
from dlcli.data.images.tiles import center_windows
from dlcli.explanation.network import (
    Call,
    Given,
    Network,
    NotExplainable,
    OpenedModel,
    Tensor,
    needed,
    open_model,
    own_function,
    traced,
)
from dlcli.tasks.detection.detecting import FINAL
from dlcli.tasks.explanation import class_index
from dlcli.tasks.images.aspects import (
    PREDICTED,
    Aspect,
    Chosen,
    Explainable,
    boxes_outlined,
    finite,
    refuse_label,
)
from dlcli.tasks.images.attribution import calls_with_maps
from dlcli.tasks.images.frames import upright_frames
from dlcli.tasks.task import ExplanationRequest

OF_LEVEL = re.compile(r"class_outputs(\d+)")  # the logits of one-stage detectors, [b, n, classes]
OF_PROPOSALS = "class_logits"  # those of two-stage detectors, [b, n, classes + 1]
TOPS = ("pyramid5_lateral", "maps_resized", "proposal1_conv")
"""The first layers after the backbone: of a pyramid, or of a two-stage detector without one."""
FINE = 7  # positions along a side: as many as classifiers of 224x224 pixels have; fewer hardly show where an object is


@dataclass(frozen=True)
class Kept:
    """The boxes that a detector keeps in some images, after non-maximum suppression.

    Attributes:
        boxes: rel_xyxy float32 ``[b, n, 4]``, in falling order of the scores.
        scores: float32 ``[b, n]``.
        classes: int32 ``[b, n]``.
        counts: how many of them are boxes, int32 ``[b]``.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    counts: NDArray[np.int32]

    def numbers(self, place: int, index: int | None) -> NDArray[np.int64]:
        """The place-th box of each image, counted from 0, among those of a class; -1 where there are not as many."""
        found = np.full(len(self.counts), -1)
        for row, count in enumerate(self.counts):
            is_one = np.arange(count) if index is None else np.flatnonzero(self.classes[row, :count] == index)
            if len(is_one) > place:
                found[row] = is_one[place]
        return found


@dataclass(frozen=True)
class Detector:
    """A detector opened for explanation.

    Attributes:
        model: all of its calls.
        logits: of its classes, level by level ``[b, n, classes]``, or those of the proposals ``[b, n, classes + 1]``.
        proposals: rel_xyxy ``[b, n, 4]``; None for a one-stage detector.
    """

    model: OpenedModel
    logits: Sequence[Tensor]
    proposals: Tensor | None

    def network(self) -> Network:
        """The class score of an anchor or position, by its number among the logits of all levels, int32 ``[b]``; or of
        a proposal, rel_xyxy, and a class, float32 ``[b, 5]``."""
        if self.proposals is None:
            return self.model.network(self.logits, _of_position)
        number = self.proposals.shape[1]
        given = Given(self.proposals, lambda targets: tf.repeat(targets[:, None, :4], number, axis=1))
        targets = tf.TensorSpec([None, 5], tf.float32)
        return self.model.network(self.logits, _of_first_proposal, targets=targets, given=given)


def open_detector(model: keras.Model) -> Detector:
    """Open a detector of this program.

    Raises:
        NotExplainable: it is another network.
    """
    opened = open_model(model)
    levels = {int(found[1]): call for call in opened.calls if (found := OF_LEVEL.fullmatch(call.name))}
    if levels:
        return Detector(opened, [levels[level].outputs[0] for level in sorted(levels)], None)
    logits = opened.tensor(OF_PROPOSALS)
    return Detector(opened, [logits], _proposals(opened, logits))


def explainable_objects(model: keras.Model, request: ExplanationRequest, classes: Sequence[str]) -> Explainable:
    """The class score of one object: the best one, or ``--object`` N, of any class or of the one that is asked for.

    Grad-CAM weights the backbone's last maps of at least 7x7 positions.

    Raises:
        InputError: there is no such class.
    """
    refuse_label(request, "each object has a label of its own")
    index = None if request.target == PREDICTED else class_index(request.target, classes)
    number = request.object_number
    detector = open_detector(model)
    network, find = detector.network(), _finder(detector)

    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        found = find(pixels, number - 1, index)
        boxes, labels = found.of_chosen(found.kept.boxes), found.of_chosen(found.kept.classes)
        targets: NDArray[Any] = found.positions.astype(np.int32)
        if found.proposals is not None:
            places = found.positions // detector.logits[0].shape[-1]
            own_proposals = found.proposals[np.arange(len(rows)), places]
            targets = np.concatenate([own_proposals, labels[:, None]], axis=1).astype(np.float32)
        values = np.asarray(network.scores(pixels, targets)[0])
        corners = _in_pixels(boxes, samples, rows).round(2)
        columns = [
            {
                "class": classes[label],
                "object": number,
                "score": float(score),
                **dict(zip(("xmin", "ymin", "xmax", "ymax"), of_box, strict=True)),
                "value": float(value),
            }
            for label, score, of_box, value in zip(
                labels, found.of_chosen(found.kept.scores), corners.tolist(), values, strict=True
            )
        ]
        captions = [f"{row['class']} {row['score']:.2f}" for row in columns]
        outlines = boxes_outlined(boxes, network.shape)
        return Chosen(targets, columns, captions, exists=found.numbers >= 0, outlines=outlines)

    named = "" if index is None else f" of class {classes[index]}"
    return Explainable(
        [Aspect(network, choose, layer=_last_of_backbone(network))],
        shown=("class", "object", "score", "xmin", "ymin", "xmax", "ymax"),
        meaning="Red speaks for the object's class in its box, blue against it",
        missing=f"no object{named} is detected" if number == 1 else f"fewer than {number} objects{named} are detected",
    )


def _of_position(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
    """One of the logits of all levels, counted through positions and classes."""
    return tf.gather(_flat(ends), targets, batch_dims=1)


def _of_first_proposal(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The logit of a class in the first proposal: all of them are the one that is given."""
    return tf.gather(ends[0][:, 0], tf.cast(targets[:, 4], tf.int32), batch_dims=1)


def _flat(logits: Sequence[Tensor]) -> Tensor:
    return tf.concat([tf.reshape(of_level, [tf.shape(of_level)[0], -1]) for of_level in logits], axis=1)


def _proposals(opened: OpenedModel, logits: Tensor) -> Tensor:
    """The proposals rel_xyxy ``[b, n, 4]`` that the second stage takes: the last boxes that are selected before it."""
    number = logits.shape[1]
    for call in reversed(needed(opened.calls, [logits])):
        if type(call.operation).__name__ == "Take" and tuple(call.outputs[0].shape[1:]) == (number, 4):
            return call.outputs[0]
    raise NotExplainable("has no proposals before its class logits, which are needed to explain it.")


@dataclass(frozen=True)
class Found:
    """Which of the kept boxes is explained in each image, and where it comes from.

    Attributes:
        kept: all boxes that are kept.
        numbers: of the box among them ``[b]``; -1 for none.
        positions: of the logit that its score was computed from, in all logits of the image ``[b]``.
        proposals: rel_xyxy ``[b, n, 4]``; None for a one-stage detector.
    """

    kept: Kept
    numbers: NDArray[np.int64]
    positions: NDArray[np.int64]
    proposals: NDArray[np.float32] | None

    def of_chosen(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values ``[b, ...]`` of the boxes that are explained, of ``[b, n, ...]``."""
        chosen: NDArray[Any] = values[np.arange(len(values)), self.numbers]
        return chosen


def _finder(detector: Detector) -> Callable[[NDArray[np.float32], int, int | None], Found]:
    """A function that finds which of the logits the score of a kept box was computed from.

    It is the one that the score has a gradient with respect to. Sigmoids and softmax pass gradients on as they are, so
    that none vanishes where the network is sure.
    """
    final = [detector.model.tensor(name) for name in FINAL]
    extra = [] if detector.proposals is None else [detector.proposals]
    network = detector.model.network([*final, *extra, *detector.logits], _of_position)
    num_before = len(final) + len(extra)

    def run(pixels: Tensor, numbers: Tensor) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            values = network.end_values(pixels, substitute=_passed)
            scores = tf.gather(values[FINAL.index("scores")], numbers, batch_dims=1)
        sizes = tf.abs(_flat(tape.gradient(scores, values[num_before:], unconnected_gradients="zero")))
        return tf.argmax(sizes, axis=1), tf.reduce_max(sizes, axis=1)

    origin = traced(network, run)

    def find(pixels: NDArray[np.float32], place: int, index: int | None) -> Found:
        values = [np.asarray(value) for value in network.end_values(pixels)]
        kept = Kept(*map(finite, values[: len(final)]))
        numbers = kept.numbers(place, index)
        positions, sizes = (found.numpy() for found in origin(pixels, numbers.clip(0).astype(np.int32)))
        if (sizes[numbers >= 0] == 0).any():
            raise NotExplainable("its scores do not depend on its class logits, so that no box can be explained.")
        return Found(kept, numbers, positions, values[len(final)] if extra else None)

    return find


def _passed(call: Call) -> Callable[..., Any]:
    """The substitute in which a sigmoid or softmax has the gradient 1."""
    if type(call.operation).__name__ not in ("Sigmoid", "Softmax"):
        return own_function(call)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def passed(x: Tensor) -> Any:
        return call.operation(x), lambda gradient: gradient

    return lambda x, **_: passed(x)


def _last_of_backbone(network: Network) -> str | None:
    """The last call of the backbone with maps of at least 7x7 positions, or else of more than one."""
    calls = {call.name: call for call in network.calls}
    for top in TOPS:
        if top in calls:
            before = {call.name for call in needed(network.calls, [calls[top].inputs[0]])}
            own = [call for call in calls_with_maps(network) if call.name in before]
            fine = [call for call in own if min(call.outputs[0].shape[1:3]) >= FINE]
            return (fine or own)[-1].name if own else None
    return None


def _in_pixels(boxes: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes rel_xyxy ``[b, 4]`` of the network's input in the pixels of the upright images."""
    policy = samples.policy
    assert policy is not None
    if samples.is_tiled:
        height, width = policy.image_size
        corners = center_windows(samples.sizes[rows], policy.image_size)[:, [1, 0, 1, 0]]
        return corners + boxes.astype(np.float64) * [width, height, width, height]
    return in_frames(boxes, upright_frames(samples, rows), policy)
