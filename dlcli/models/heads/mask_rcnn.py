"""Mask R-CNN: He, Gkioxari, Dollár and Girshick 2017, "Mask R-CNN": a mask for each box of Faster R-CNN.

In training, masks are learned in the positives among the sampled boxes; the saved model predicts them in its final
boxes (section 3.1). The layers with weights are the same.
"""

from typing import Any

import keras
import tensorflow as tf

from dlcli.models.heads.anchors import Size
from dlcli.models.heads.faster_rcnn import SampledBoxes
from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.roi_align import RoiAlign, box_levels, cropped, roi_align
from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a tensor or a symbolic keras.KerasTensor
MASK_BINS = 14  # of RoIAlign; masks have twice as many pixels along each side (figure 4)


class MaskHead:
    """3x3 convolutions on the features of a box, a transposed convolution, and a mask for each class (figure 4, right).

    Args:
        num_convs: number of 3x3 convolutions; 4 in the paper.
        channels: of the convolutions; 256 in the paper.
        num_classes: number of classes, without background.
    """

    def __init__(self, *, num_convs: int, channels: int, num_classes: int) -> None:
        relu: dict[str, Any] = {"activation": "relu", "kernel_initializer": kernel_initializer("relu")}
        self._layers = [
            keras.layers.Conv2D(channels, 3, padding="same", name=f"mask_conv{number}", **relu)
            for number in range(1, num_convs + 1)
        ]
        self._layers.append(keras.layers.Conv2DTranspose(channels, 2, strides=2, name="mask_up", **relu))
        self._layers.append(keras.layers.Conv2D(num_classes, 1, dtype="float32", name="mask_logits"))
        self._num_classes = num_classes

    def __call__(self, features: Tensor, classes: Tensor) -> Tensor:
        """The logits of the mask of one class for each box, float32 ``[b, n, 28, 28]``.

        Args:
            features: ``[b, n, 14, 14, c]``.
            classes: int32 ``[b, n]``; those that are none of the classes have logits of 0.
        """
        number, side, _, channels = features.shape[1:]
        x = keras.ops.reshape(features, (-1, side, side, channels))
        for layer in self._layers:
            x = layer(x)
        x = keras.ops.reshape(x, (-1, number, 2 * side, 2 * side, self._num_classes))
        chosen = keras.ops.equal(classes[..., None], keras.ops.arange(self._num_classes, dtype="int32"))
        return keras.ops.sum(x * keras.ops.cast(chosen, "float32")[:, :, None, None], axis=-1)


def trained_masks(
    pyramid: Pyramid, sampled: SampledBoxes, head: MaskHead, truth_masks: Tensor, *, size: Size
) -> list[Tensor]:
    """What the loss of masks is taken from: logits float32 and their targets uint8, ``[b, n, 28, 28]``.

    Args:
        pyramid: maps by level that boxes are sampled from.
        sampled: n boxes, among them all positives.
        truth_masks: of the objects, uint8 ``[b, m, height, width]``, 1 inside.
    """
    levels = box_levels(sampled.boxes, size=size, levels=list(pyramid))
    features = RoiAlign(size=size, bins=MASK_BINS, name="mask_features")(pyramid, sampled.boxes, levels)
    targets = MaskTargets(side=2 * MASK_BINS, name="mask_targets")(truth_masks, sampled.boxes, sampled.objects)
    return [head(features, sampled.labels), targets]


def final_masks(pyramid: Pyramid, boxes: Tensor, classes: Tensor, head: MaskHead, *, size: Size) -> Tensor:
    """The mask of each final box, float32 ``[b, k, 28, 28]`` in [0, 1], the output of the layer ``masks``; 0.5 where
    there is no box."""
    levels = box_levels(boxes, size=size, levels=list(pyramid))
    logits = head(roi_align(pyramid, boxes, levels, size=size, bins=MASK_BINS), classes)
    return keras.layers.Activation("sigmoid", dtype="float32", name="masks")(logits)


class MaskTargets(keras.layers.Layer):  # type: ignore[misc]
    """The part of an object's mask in a box, resampled by RoIAlign to a fixed size; 1 where at least half is inside.

    Args:
        side: number of pixels along each side.
    """

    def __init__(self, *, side: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.side = side

    def call(self, masks: Tensor, boxes: Tensor, objects: Tensor) -> Tensor:
        """uint8 ``[b, n, side, side]``.

        Args:
            masks: uint8 ``[b, m, height, width]``.
            boxes: rel_xyxy ``[b, n, 4]``.
            objects: the mask of each box, int32 ``[b, n]``.
        """
        number, size = boxes.shape[1], tuple(masks.shape[2:])
        pixels = tf.reshape(tf.gather(masks, objects, batch_dims=1), [-1, *size, 1])
        each = tf.reshape(boxes, [-1, 1, 4])  # a box in an image of its own
        levels = tf.zeros_like(each[..., 0], tf.int32)
        inside = cropped({0: tf.cast(pixels, tf.float32)}, each, levels, size, self.side)
        return tf.reshape(tf.cast(inside >= 0.5, tf.uint8), [-1, number, self.side, self.side])

    def compute_output_spec(self, masks: Tensor, boxes: Tensor, objects: Tensor) -> Any:
        return keras.KerasTensor((*boxes.shape[:2], self.side, self.side), "uint8")
