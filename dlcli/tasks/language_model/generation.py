"""Generates text with a trained language model."""

from collections.abc import Sequence
from typing import Any

from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.evaluation import default_prompt
from dlcli.tasks.language_model.generator import Generator, load_generator
from dlcli.tasks.task import GenerationRequest

MAX_NAMED = 30  # classes listed in a message


def generate(run: RunDir, recipe: LanguageModel, request: GenerationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.generate`."""
    generator = load_generator(run, recipe, console)
    prompt_ids = _prompt_ids(generator, request.prompt, request.label, run=run, console=console)
    generated = generator.generate(
        [prompt_ids] * request.num_samples,
        length=request.length,
        temperature=request.temperature,
        top_k=request.top_k,
        seed=request.seed,
    )
    class_of_sample = {} if request.label is None else {"class": request.label}
    samples = [{**class_of_sample, **sample_of(generator, request.prompt, ids)} for ids in generated]
    return {"run": str(run.path), "samples": samples}


def sample_of(generator: Generator, prompt: str, ids: Sequence[int]) -> dict[str, str]:
    """What is reported of a generated text: the text with its prompt, and what was added."""
    added = generator.decode(ids)
    is_apart = generator.recipe.text.unit == "words" and prompt and not prompt[-1:].isspace()
    return {"text": prompt + (" " if is_apart and added else "") + added, "added": added}


def _prompt_ids(generator: Generator, prompt: str, label: str | None, *, run: RunDir, console: Console) -> list[int]:
    """The token ids that generation starts from."""
    if generator.classes and label not in generator.classes:
        known = ", ".join(generator.classes[:MAX_NAMED]) + (", …" if len(generator.classes) > MAX_NAMED else "")
        received = "nothing" if label is None else f"'{label}'"
        raise InputError(f"--class: the texts of {run.path} have classes: choose one of {known}. Received {received}.")
    if label is not None and not generator.classes:
        raise InputError(f"--class: the texts of {run.path} have no classes. Omit --class.")
    if not prompt and not generator.has_ends:
        return default_prompt(generator)
    ids = generator.encode(prompt, label)
    num_unknown = ids.count(UNKNOWN)
    if num_unknown:
        unit = generator.recipe.text.unit.removesuffix("s")
        console.warn(
            f"{num_unknown} {unit}{'s' if num_unknown > 1 else ''} of the prompt not in the model's vocabulary"
        )
    return ids
