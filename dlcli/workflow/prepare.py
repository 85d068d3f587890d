"""Which training job a recipe asks for."""

from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.workflow import forecast_job, image_job, language_job, made_job, pair_job, sequence_job
from dlcli.workflow.job import Job
from dlcli.workflow.start import Device
from dlcli.workflow.talk import Talk


def prepare(loaded: LoadedRecipe, device: Device, talk: Talk, *, is_new: bool = True) -> Job:
    """Reads the data, checks the recipe against them, and builds the model.

    Args:
        is_new: begin with the weights that the recipe names; False where a checkpoint has what became of them.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    if isinstance(loaded.recipe, ImageRecipe):
        return image_job.prepare(loaded, device, talk, is_new=is_new)
    if isinstance(loaded.recipe, StepPrediction):
        return made_job.prepare(loaded, loaded.recipe, device, talk)
    if isinstance(loaded.recipe, Forecasting):
        return forecast_job.prepare(loaded, loaded.recipe, device, talk)
    if isinstance(loaded.recipe, LanguageModel):
        return language_job.prepare(loaded, loaded.recipe, device, talk)
    if isinstance(loaded.recipe, SequenceToSequence):
        return pair_job.prepare(loaded, loaded.recipe, device, talk)
    return sequence_job.prepare(loaded, loaded.recipe, device, talk)
