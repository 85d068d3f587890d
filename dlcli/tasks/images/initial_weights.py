"""Finds and loads the pretrained weights that an image recipe starts from."""

from pathlib import Path

import keras

from dlcli.errors import InputError
from dlcli.models.images import keras_application
from dlcli.models.images.torch_weights import Naming, assign_torch_weights
from dlcli.models.images.weight_files import DoNotFit, copy_weights, read_weights
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.backbone import base_of
from dlcli.recipe.sections.image_model import TORCH_SUFFIXES, Application, Dpn, ImageClassifier, Vgg
from dlcli.runtime.model_files import check_weights_file, load_keras_file
from dlcli.runtime.torch_files import read_arrays
from dlcli.tasks.images.network import ImageNetwork, build_classifier, has_paper_head


def find_weights(section: ImageClassifier) -> keras.Model | None:
    """Load the network whose weights a recipe starts from; None if it names none, or a file of weights alone.

    Raises:
        InputError: the weights are not available, or their file is corrupt.
    """
    source = section.origin
    if source == "none":
        return None
    if source.endswith(".keras"):
        return load_keras_file(Path(source))
    if source.endswith(TORCH_SUFFIXES):
        read_arrays(Path(source))  # a file that cannot be used is reported before the data are read
        return None
    if source != "imagenet":
        check_weights_file(Path(source))
    if not isinstance(section, Application):
        return None
    return keras_application.trained_model(
        section.network,
        with_top=has_paper_head(section),
        file=None if source == "imagenet" else source,
        options=section.options,
    )


def load_weights(
    section: ImageClassifier, network: ImageNetwork, pretrained: keras.Model | None, *, with_classes: bool = False
) -> None:
    """Load the pretrained weights into a network; do nothing if the recipe names none.

    Args:
        pretrained: the result of `find_weights`.
        with_classes: load the last layer too, with ImageNet's 1,000 classes, for a network with its original head.

    Raises:
        InputError: the weights do not fit the network.
    """
    source = section.origin
    try:
        if source.endswith(".keras") and pretrained is not None:
            copy_weights(network.features, pretrained)
            if with_classes:
                keras_application.give_classifier(network.model.get_layer("logits"), pretrained)
        elif pretrained is not None:
            logits = network.model.get_layer("logits") if with_classes else None
            keras_application.give_weights(
                network.features, pretrained, with_top=has_paper_head(section), logits=logits
            )
        elif source.endswith(TORCH_SUFFIXES):
            naming: Naming = (
                "vgg" if isinstance(section, Vgg) else "dual_path" if isinstance(section, Dpn) else "residual"
            )
            assign_torch_weights(network.features, read_arrays(Path(source)), naming=naming)
        elif source != "none":
            read_weights(network.features, source)
    except DoNotFit as reason:
        raise InputError(f"{source}: the weights do not fit this network: {reason}.") from None


def pretrained_classifier(loaded: LoadedRecipe, *, num_classes: int) -> keras.Model:
    """As :func:`dlcli.tasks.dispatch.pretrained_classifier`, for RGB images of ``data.image_size``."""
    recipe = loaded.of_images
    section = base_of(recipe.model)
    assert section is not None
    assert recipe.data.image_size is not None
    try:
        pretrained = find_weights(section)
        classifier = build_classifier(section, shape=(*recipe.data.image_size, 3), num_classes=num_classes)
        load_weights(section, classifier, pretrained, with_classes=True)
    except InputError as error:
        raise loaded.error("model", str(error)) from None
    return classifier.model
