"""Generates text with a trained language model."""

from typing import Any

from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.evaluation import first_token
from dlcli.tasks.language_model.generator import Speaker, load_speaker
from dlcli.tasks.task import GenerationRequest

MAX_NAMED = 30  # classes named in a message


def generate(run: RunDir, recipe: LanguageModel, request: GenerationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.generate`."""
    speaker = load_speaker(run, recipe)
    beginning = _beginning(speaker, request.prompt, request.label, run=run, console=console)
    said = speaker.go_on(
        [beginning] * request.num_samples,
        length=request.length,
        temperature=request.temperature,
        top_k=request.top_k,
        seed=request.seed,
    )
    added = [speaker.write(numbers) for numbers in said]
    prompt, label = request.prompt, request.label
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
