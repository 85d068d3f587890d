"""The memory that training the stages of an image recipe takes."""

from dlcli.data.images.samples import Dataset
from dlcli.recipe.load import LoadedRecipe
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.network import build_network
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.optimization import stage_sections


def memory_of_stages(loaded: LoadedRecipe, dataset: Dataset) -> TrainingMemory:
    """The memory that the largest stage takes; builds the network.

    Raises:
        InputError: a stage names layers that the network lacks.
    """
    recipe, num_samples = loaded.of_images, len(dataset.splits["train"])
    classifier = build_network(recipe, shape=dataset.shape, num_classes=len(dataset.classes))
    found = []
    for position, section in enumerate(stage_sections(recipe.train)):
        try:
            set_depth(recipe.model, classifier, section)
        except ValueError as error:
            raise loaded.error(f"train.stages.{position}.trainable", str(error)) from None
        found.append(training_memory_of(layer_table(classifier.model), recipe.train, num_samples)[0])
    return max(found, key=lambda memory: memory.total)
