"""Builds a segmentation network: the feature maps of an image network or of U-Net's own path, and the decoder."""

from dataclasses import replace
from typing import Any, assert_never

import keras

from dlcli.models.heads import deeplabv3plus, fcn, unet
from dlcli.models.images.dilation import dilated
from dlcli.models.images.taps import check_strides, first_maps, taps
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.backbone import without_classifier
from dlcli.recipe.sections.segmentation_model import Deeplabv3plus, Fcn, SegmentationModel, Unet
from dlcli.tasks.images.network import Features, HeadOutputs, InputShape, features, scaled_input
from dlcli.tasks.images.standardization import Standardization

SCRATCH_DEPTH = 4  # poolings of the paper's U-Net


def maps_of(
    section: SegmentationModel,
    *,
    shape: InputShape,
    augment: Augment | None = None,
    standardization: Standardization | None = None,
) -> Features:
    """Build the layers before the decoder, up to the last feature maps.

    Args:
        augment, standardization: as for :func:`dlcli.tasks.images.network.features`.

    Raises:
        InputError: the network cannot take images of this shape, or cannot be dilated.
    """
    if section.backbone is None:
        inputs, x = scaled_input(section, shape=shape, augment=augment, standardization=standardization)
        depth = SCRATCH_DEPTH if section.depth is None else section.depth
        path = unet.contracting_path(x, depth=depth, filters=section.filters, batch_norm=section.batch_norm)
        maps = path[2**depth]
        return Features(section.kind, inputs, maps, maps, (x, maps), l2=0.0, is_dense=False)
    base = features(without_classifier(section.backbone), shape=shape, augment=augment, standardization=standardization)
    x, maps = base.ends[0], base.maps
    if isinstance(section, Deeplabv3plus):
        maps = dilated(x, maps, output_stride=section.output_stride)
    return replace(base, kind=section.kind, base=maps, vector=maps, ends=(x, maps))


def pixel_outputs(base: Features, section: SegmentationModel, *, num_classes: int) -> HeadOutputs:
    """The logits of each pixel's classes, which the loss is taken from; the saved model has a dictionary of
    ``probabilities`` float32 ``[b, height, width, classes]`` and ``classes`` int32 ``[b, height, width]``.

    Raises:
        InputError: the network lacks feature maps that the decoder needs.
    """
    x, maps = base.ends
    found = first_maps(x, maps) if isinstance(section, Fcn) and section.is_on_vgg else taps(x, maps)
    kind = section.kind if section.backbone is None else section.backbone.kind
    check_strides(found, section.needed_strides(), network=kind, purpose=section.kind)
    logits = _logits(found, section, size=tuple(base.inputs.shape[1:3]), num_classes=num_classes)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    most_probable = keras.ops.argmax(logits, axis=-1)
    classes = keras.layers.Identity(dtype="int32", name="classes")(most_probable)
    return HeadOutputs(final={"probabilities": probabilities, "classes": classes}, trained=logits)


def _logits(found: dict[int, Any], section: SegmentationModel, *, size: tuple[int, int], num_classes: int) -> Any:
    match section:
        case Unet():
            return unet.unet(
                found,
                size=size,
                filters=section.filters,
                batch_norm=section.batch_norm,
                dropout=section.dropout,
                upsampling=section.upsampling,
                num_classes=num_classes,
            )
        case Fcn():
            return fcn.fcn(
                found,
                size=size,
                stride=section.stride,
                dense=section.dense,
                dropout=section.dropout,
                num_classes=num_classes,
            )
        case Deeplabv3plus():
            return deeplabv3plus.deeplabv3plus(
                found,
                size=size,
                filters=section.filters,
                separable=section.separable,
                dropout=section.dropout,
                num_classes=num_classes,
            )
        case _:
            assert_never(section)
