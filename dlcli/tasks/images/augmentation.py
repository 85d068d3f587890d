"""Turns the recipe's ``augment`` section into an augmentation, and checks it against the data."""

import numpy as np

from dlcli.data.augmentation.augmentation import Augmentation, ColorJitter, RandAugment, RandomCrop, RandomErasing
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.augment import Augment
from dlcli.tasks.images.standardization import MAX_WHITENED


def make_augmentation(section: Augment) -> Augmentation:
    """The random transformations of each image that the recipe's ``augment`` section describes."""
    zoom = section.zoom_range
    jitter, erasing, crop, rand_augment = (
        section.color_jitter,
        section.random_erasing,
        section.random_crop,
        section.rand_augment,
    )
    return Augmentation(
        rotation_range=section.rotation_range,
        width_shift_range=section.width_shift_range,
        height_shift_range=section.height_shift_range,
        brightness_range=section.brightness_range,
        shear_range=section.shear_range,
        zoom_range=zoom if isinstance(zoom, tuple) else (1.0 - zoom, 1.0 + zoom),
        channel_shift_range=section.channel_shift_range,
        fill_mode=section.fill_mode,
        cval=section.cval,
        horizontal_flip=section.horizontal_flip,
        vertical_flip=section.vertical_flip,
        random_crop=None if crop is None else RandomCrop(**crop.model_dump()),
        color_jitter=None if jitter is None else ColorJitter(**jitter.model_dump()),
        random_erasing=None if erasing is None else RandomErasing(**erasing.model_dump()),
        rand_augment=None if rand_augment is None else RandAugment(**rand_augment.model_dump()),
    )


def check_augment(loaded: LoadedRecipe, shape: tuple[int, ...]) -> None:
    """Check the keys of the ``augment`` section whose validity depends on the shape of the samples.

    Raises:
        InputError: located at the key.
    """
    augment = loaded.of_images.augment
    if augment is None:
        return
    num_features = int(np.prod(shape))
    if augment.zca_whitening and num_features > MAX_WHITENED:
        raise loaded.error(
            "augment.zca_whitening",
            f"images of at most {MAX_WHITENED:,} values can be whitened. These have {num_features:,}. "
            "Make data.image_size smaller, or use featurewise_std_normalization",
        )
    for key in ("hue", "saturation"):
        if augment.color_jitter is not None and getattr(augment.color_jitter, key) and shape[-1] != 3:
            raise loaded.error(
                f"augment.color_jitter.{key}", f"grayscale images have no {key}; remove it, or set data.color_mode: rgb"
            )
    for key, side in (("height_shift_range", shape[0]), ("width_shift_range", shape[1])):
        value = getattr(augment, key)
        largest = max(map(abs, value)) if isinstance(value, tuple) else value
        if largest >= side:
            raise loaded.error(f"augment.{key}", f"shifts {side} pixels by {largest:g}; at most {side - 1}")
