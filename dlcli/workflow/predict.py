"""``dlcli predict``: a trained model's answers for new samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import ImageRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting import prediction as forecasting_prediction
from dlcli.tasks.images import prediction as images_prediction
from dlcli.tasks.sequence_to_sequence import prediction as sequence_to_sequence_prediction
from dlcli.tasks.sequences import prediction as sequences_prediction


def predict(
    run: RunDir,
    paths: Sequence[Path],
    *,
    texts: Sequence[str] = (),
    top: int,
    output: Path | None,
    force: bool,
    draw: Path | None = None,
    beam: int = 1,
    console: Console,
) -> dict[str, Any]:
    """Predicts with a run's best model.

    Args:
        paths: images, folders of them and .npz files; for text, files of lines and tables, and - for stdin.
        texts: samples by themselves, for a model of text.
        top: classes given for each sample.
        output: a .csv or .json file for all probabilities.
        force: replace ``output`` where it is there.
        beam: beginnings of answers that are kept, of a model that answers texts by texts.
        draw: a folder for the images with their boxes; it must not be there or be empty.

    Returns ``run``, ``predictions`` (file and text, predicted, confidence, the ``top`` most probable classes each and,
    of a model with a box head, the box: xmin, ymin, xmax, ymax in pixels of the upright image) and ``left_out``
    (file, reason).

    Raises:
        InputError: no sample can be read, or ``output`` is neither .csv nor .json, or is there already.
    """
    if output is not None and output.suffix not in (".csv", ".json"):
        raise InputError(f"{output}: expected a name that ends in .csv or .json.")
    if output is not None and output.exists() and not force:
        raise InputError(f"{output}: is there already. Give another name, or --force to replace it.")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder to write {output.name} to.")
    recipe = load(run.config).recipe
    if beam != 1 and not isinstance(recipe, SequenceToSequence):
        raise InputError(f"--beam: {run.path} says no texts: its task is {recipe.task}.")
    if isinstance(recipe, ImageRecipe):
        if texts:
            raise InputError(f"--text: {run.path} takes images or arrays: its task is {recipe.task}.")
        return images_prediction.predict(run, recipe, paths, top=top, output=output, draw=draw, console=console)
    if isinstance(recipe, StepPrediction):
        raise InputError(f"{run.path}: its samples are made, task: {recipe.task}; measure it with dlcli evaluate.")
    if isinstance(recipe, LanguageModel):
        raise InputError(f"{run.path}: is a language model: let it go on with a text by dlcli generate.")
    if isinstance(recipe, Forecasting):
        if texts:
            raise InputError(f"--text: {run.path} takes tables: its task is {recipe.task}.")
        return forecasting_prediction.predict(run, recipe, list(paths), output=output, console=console)
    if isinstance(recipe, SequenceToSequence):
        return sequence_to_sequence_prediction.predict(
            run, recipe, paths, texts=texts, beam=beam, output=output, console=console
        )
    if draw is not None:
        raise InputError(f"--draw: {run.path} gives no boxes: its task is not localization.")
    return sequences_prediction.predict(run, recipe, paths, texts=texts, top=top, output=output, console=console)
