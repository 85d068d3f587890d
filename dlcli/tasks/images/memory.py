"""Compares the memory that training takes with the machine's."""

from dlcli.data.images.samples import Dataset
from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.tasks.checks import check_memory
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.network import Classifier, build_network
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.optimization import stage_sections


def check_training_memory(loaded: LoadedRecipe, recipe: ImageRecipe, dataset: Dataset) -> None:
    """Builds the network without its weights, and compares what training it takes with the machine's memory.

    Raises:
        InputError: the network does not suit the samples, or is too large for this machine.
    """

    def memory() -> TrainingMemory:
        return _memory_of_stages(
            loaded, build_network(recipe, dataset, Standardization()), len(dataset.splits["train"])
        )

    check_memory(loaded, memory)


def _memory_of_stages(loaded: LoadedRecipe, classifier: Classifier, num_samples: int) -> TrainingMemory:
    """What the largest stage takes."""
    recipe = loaded.of_images
    found = []
    for position, section in enumerate(stage_sections(recipe.train)):
        try:
            set_depth(recipe.model, classifier, section)
        except ValueError as error:
            raise loaded.error(f"train.stages.{position}.trainable", str(error)) from None
        found.append(training_memory_of(layer_table(classifier.model), recipe.train, num_samples)[0])
    return max(found, key=lambda memory: memory.total)
