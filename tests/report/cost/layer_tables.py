"""The layer table of a section of a recipe."""

import keras

from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.tasks.images.network import build_classifier


def table_of(section: ImageClassifier, shape: tuple[int, ...], num_classes: int) -> LayerTable:
    """The layer table of a network of which no weight is made."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            return layer_table(build_classifier(section, shape=shape, num_classes=num_classes).model)
    finally:
        keras.backend.clear_session()
