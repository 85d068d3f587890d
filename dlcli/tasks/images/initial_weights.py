"""Finds and loads the weights that an image recipe starts from."""

from pathlib import Path

import keras

from dlcli.errors import InputError
from dlcli.models.images import keras_application
from dlcli.models.images.weight_files import DoNotFit, copy_weights, read_weights
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.image_model import Application, ImageClassifier
from dlcli.runtime.model_files import check_weights_file, load_keras_file
from dlcli.tasks.images.network import Classifier, build_classifier, has_paper_head


def find_weights(section: ImageClassifier) -> keras.Model | None:
    """The network with the initial weights that a recipe names; None where it names none, or a bare file of weights.

    Raises:
        InputError: they cannot be had.
    """
    source = section.origin
    if source == "none":
        return None
    if source.endswith(".keras"):
        return load_keras_file(Path(source))
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
    section: ImageClassifier, classifier: Classifier, found: keras.Model | None, *, with_classes: bool = False
) -> None:
    """Gives a network its initial weights; nothing where the recipe names none.

    Args:
        found: what `find_weights` gave.
        with_classes: the last layer too, with ImageNet's 1,000 classes; for a network with the paper's own head.

    Raises:
        InputError: they do not fit.
    """
    source = section.origin
    try:
        if source.endswith(".keras") and found is not None:
            copy_weights(classifier.features, found)
            if with_classes:
                keras_application.give_classifier(classifier.model.get_layer("logits"), found)
        elif found is not None:
            logits = classifier.model.get_layer("logits") if with_classes else None
            keras_application.give_weights(classifier.features, found, with_top=has_paper_head(section), logits=logits)
        elif source != "none":
            read_weights(classifier.features, source)
    except DoNotFit as reason:
        raise InputError(f"{source}: its weights do not fit this network: {reason}.") from None


def pretrained_classifier(loaded: LoadedRecipe, *, num_classes: int) -> keras.Model:
    """As :func:`dlcli.tasks.dispatch.pretrained_classifier`: samples of ``data.image_size`` in RGB to probabilities."""
    recipe = loaded.of_images
    assert recipe.data.image_size is not None
    try:
        pretrained = find_weights(recipe.model)
        classifier = build_classifier(recipe.model, shape=(*recipe.data.image_size, 3), num_classes=num_classes)
        load_weights(recipe.model, classifier, pretrained, with_classes=True)
    except InputError as error:
        raise loaded.error("model", str(error)) from None
    return classifier.model
