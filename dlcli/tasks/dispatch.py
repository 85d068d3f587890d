"""Which training job a recipe asks for."""

from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks import step_prediction
from dlcli.tasks.forecasting import job as forecasting_job
from dlcli.tasks.images import job as images_job
from dlcli.tasks.job import Job
from dlcli.tasks.language_model import job as language_model_job
from dlcli.tasks.sequence_to_sequence import job as sequence_to_sequence_job
from dlcli.tasks.sequences import job as sequences_job


def prepare(loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
    """Reads the data, checks the recipe against them, and builds the model.

    Args:
        is_new: begin with the weights that the recipe names; False where a checkpoint has what became of them.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    if isinstance(loaded.recipe, ImageRecipe):
        return images_job.prepare(loaded, device, console, is_new=is_new)
    if isinstance(loaded.recipe, StepPrediction):
        return step_prediction.prepare(loaded, loaded.recipe, device, console)
    if isinstance(loaded.recipe, Forecasting):
        return forecasting_job.prepare(loaded, loaded.recipe, device, console)
    if isinstance(loaded.recipe, LanguageModel):
        return language_model_job.prepare(loaded, loaded.recipe, device, console)
    if isinstance(loaded.recipe, SequenceToSequence):
        return sequence_to_sequence_job.prepare(loaded, loaded.recipe, device, console)
    return sequences_job.prepare(loaded, loaded.recipe, device, console)
