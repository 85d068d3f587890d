"""``dlcli generate``: a language model goes on with a text."""

from typing import Any

from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.evaluation import first_token
from dlcli.tasks.language_model.generator import Speaker, load_speaker

MAX_NAMED = 30  # classes named in a message


def generate(
    run: RunDir,
    *,
    prompt: str,
    label: str | None,
    length: int,
    temperature: float,
    top_k: int | None,
    num_samples: int,
    seed: int,
    console: Console,
) -> dict[str, Any]:
    """Lets a run's best model go on with a text.

    Args:
        prompt: where the text begins; empty for a beginning of the model's own.
        label: the class of the text, of a model that learned texts of several classes.
        length: tokens that are added at most.
        temperature: 0 for the likeliest token always, 1 for the model's own probabilities.
        top_k: draw among as many likeliest tokens only.
        seed: of what is drawn.

    Returns ``run`` and ``samples``: for each its ``text``, with the prompt, and what was ``added``.

    Raises:
        InputError: the run is no language model's, or has no model, or there is no such class.
    """
    recipe = load(run.config).recipe
    if not isinstance(recipe, LanguageModel):
        raise InputError(f"{run.path}: its task is {recipe.task}; only a language_model generates text.")
    speaker = load_speaker(run, recipe)
    beginning = _beginning(speaker, prompt, label, run=run, console=console)
    said = speaker.go_on([beginning] * num_samples, length=length, temperature=temperature, top_k=top_k, seed=seed)
    added = [speaker.write(numbers) for numbers in said]
    joint = " " if recipe.text.unit == "words" and prompt and not prompt[-1:].isspace() else ""
    named = {} if label is None else {"class": label}
    samples = [{**named, "text": prompt + (joint if text else "") + text, "added": text} for text in added]
    return {"run": str(run.path), "samples": samples}


def _beginning(speaker: Speaker, prompt: str, label: str | None, *, run: RunDir, console: Console) -> list[int]:
    """The numbers of the tokens that are there before anything is drawn."""
    if speaker.classes and label not in speaker.classes:
        there = ", ".join(speaker.classes[:MAX_NAMED]) + (", …" if len(speaker.classes) > MAX_NAMED else "")
        received = "nothing" if label is None else f"'{label}'"
        raise InputError(f"--class: {run.path} learned texts of classes: give one of {there}. Received {received}.")
    if label is not None and not speaker.classes:
        raise InputError(f"--class: the texts of {run.path} have no classes; leave it out.")
    if not prompt and not speaker.has_ends:
        return first_token(speaker)
    numbers = speaker.read(prompt, label)
    num_unknown = numbers.count(UNKNOWN)
    if num_unknown:
        unit = speaker.recipe.text.unit.removesuffix("s")
        console.warn(f"the model does not know {num_unknown} {unit}{'s' if num_unknown > 1 else ''} of the prompt")
    return numbers
