"""Estimates the memory that training the stages of an image recipe takes."""

from dlcli.data.images.own_sizes import costliest_size
from dlcli.data.images.samples import Dataset
from dlcli.recipe.load import LoadedRecipe
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.tasks.images.batches import tiles_per_image
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.head import ImageHead, TargetInfo
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.optimization import stage_sections


def memory_of_stages(loaded: LoadedRecipe, head: ImageHead, info: TargetInfo, dataset: Dataset) -> TrainingMemory:
    """The memory of the stage that takes the most; builds the network.

    Raises:
        InputError: a stage names layers that the network lacks.
    """
    recipe = loaded.of_images
    shape, num_samples = dataset.shape, len(dataset.splits["train"]) * tiles_per_image(recipe.data)
    if dataset.splits["train"].has_own_sizes:
        size, num_samples = costliest_size(dataset.splits["train"].sizes, recipe.train.batch_size)
        shape = (*size, shape[-1])
    network = head.build(recipe.model, info, shape=shape)
    by_stage = []
    for position, section in enumerate(stage_sections(recipe.train)):
        try:
            set_depth(head.base, network, section)
        except ValueError as error:
            raise loaded.error(f"train.stages.{position}.trainable", str(error)) from None
        by_stage.append(training_memory_of(layer_table(network.model), recipe.train, num_samples)[0])
    return max(by_stage, key=lambda memory: memory.total)
