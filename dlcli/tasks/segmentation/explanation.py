"""What is explained of segmentation: the logits of a class, added up over its predicted mask."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.masks.coding import BACKGROUND
from dlcli.explanation.network import Network, Tensor, open_model
from dlcli.tasks.explanation import class_index
from dlcli.tasks.images.aspects import PREDICTED, Aspect, Chosen, Explainable, finite, refuse_label
from dlcli.tasks.images.attribution import calls_with_maps, num_positions
from dlcli.tasks.task import ExplanationRequest

NONE = -1  # the target of a pixel that does not count
SCORES = "fcn_scores"  # the layers of FCN that are the logits already, at a coarse stride


def explainable_masks(model: keras.Model, request: ExplanationRequest, classes: Sequence[str]) -> Explainable:
    """A class over its mask: the sum of its logits (Vinogradova, Dibrov and Myers 2020, equation 2).

    The class is the one that is asked for, or the most frequent one of the predicted mask but for the background. The
    mask is that of the image as it is. Grad-CAM weights the last of the coarsest maps, the bottleneck.

    Raises:
        InputError: there is no such class.
    """
    refuse_label(request, "each pixel has a label of its own")
    opened = open_model(model)
    network = opened.network([opened.tensor("logits")], _over_mask, targets=tf.TensorSpec([None, None, None], tf.int32))
    index = None if request.target == PREDICTED else class_index(request.target, classes)

    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        logits = finite(np.asarray(network.end_values(pixels)[0]))
        predicted = logits.argmax(axis=-1)
        numbers = [_largest(mask, classes) if index is None else index for mask in predicted]
        masks = predicted == np.array(numbers)[:, None, None]
        targets = np.where(masks, predicted, NONE).astype(np.int32)
        columns = [
            {
                "class": classes[number],
                "pixels": int(mask.sum()),
                "share": float(mask.mean()),
                "value": float(scores[mask, number].sum(dtype=np.float64)),
            }
            for scores, mask, number in zip(logits, masks, numbers, strict=True)
        ]
        part = "tile" if samples.is_tiled else "image"
        captions = [f"{row['class']}, {row['share']:.1%} of the {part}" for row in columns]
        is_asked = np.array([index is not None or classes[number] != BACKGROUND for number in numbers])
        amounts = masks.sum(axis=(1, 2)) * is_asked
        return Chosen(targets, columns, captions, exists=masks.any(axis=(1, 2)), outlines=masks, amounts=amounts)

    named = "" if index is None else f" of class {classes[index]}"
    return Explainable(
        [Aspect(network, choose, layer=_bottleneck(network))],
        shown=("class", "pixels", "share"),
        meaning="Red speaks for the class in its predicted mask, blue against it",
        missing=f"no pixel{named} is predicted",
    )


def _over_mask(ends: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The sum of the logits ``[b, h, w, classes]`` of each pixel's class in targets ``[b, h, w]``, ``[b]``."""
    logits = tf.gather(ends[0], tf.maximum(targets, 0), batch_dims=3)
    return tf.reduce_sum(tf.where(targets >= 0, logits, 0.0), axis=[1, 2])


def _largest(mask: NDArray[np.int64], classes: Sequence[str]) -> int:
    """The most frequent class of a predicted mask but for the background, unless there is nothing else."""
    pixels = np.bincount(mask.ravel(), minlength=len(classes))
    if BACKGROUND in classes and pixels[classes.index(BACKGROUND)] < mask.size:
        pixels[classes.index(BACKGROUND)] = 0
    return int(pixels.argmax())


def _bottleneck(network: Network) -> str | None:
    """The last call with the coarsest feature maps."""
    calls = [call for call in calls_with_maps(network) if not call.name.startswith(SCORES)]
    fewest = min((num_positions(call.outputs[0]) for call in calls), default=0)
    names = [call.name for call in calls if num_positions(call.outputs[0]) == fewest]
    return names[-1] if names else None
