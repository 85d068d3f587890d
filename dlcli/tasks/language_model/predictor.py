"""Continues texts held in memory with a language model that is loaded once."""

from collections.abc import Sequence
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.evaluation import default_prompt
from dlcli.tasks.language_model.generation import sample_of
from dlcli.tasks.language_model.generator import load_generator
from dlcli.tasks.predictor import Kind
from dlcli.tasks.sequences.predictor import read_text
from dlcli.tasks.task import GenerationRequest

LENGTH = 200  # tokens that are added to each text


class LanguagePredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` whose samples are prompts, and whose predictions their continuations.

    The same prompt always has the same continuation, that of ``dlcli generate --length 200``.

    Raises:
        InputError: the run has no model, or it is corrupt; its texts have classes, of which a prompt names none.
    """

    kind: Kind = "texts"
    classes: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1,)

    def __init__(self, run: RunDir, recipe: LanguageModel, console: Console) -> None:
        self.run = run
        self._generator = load_generator(run, recipe, console)
        if self._generator.classes:
            raise InputError(
                f"{run.path}: its texts have classes, and a prompt names none. Use dlcli generate --class."
            )
        self.model = self._generator.model
        self._start = self._generator.compiled(1)

    def read(self, sample: str, *, name: str | None = None) -> tuple[str, list[int]]:
        """The prompt and its token ids; of an empty one, those that ``dlcli generate`` starts from."""
        prompt, generator = read_text(sample, name=name), self._generator
        is_empty = not prompt and not generator.has_ends
        return prompt, default_prompt(generator) if is_empty else generator.encode(prompt)

    def predict(
        self, samples: Sequence[tuple[str, list[int]]], *, top: int = 3, score: float | None = None, beam: int = 1
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`: rows with ``text`` and ``added``."""
        usual = GenerationRequest()
        rows = []
        for prompt, ids in samples:
            (generated,) = self._generator.generate(
                [ids],
                length=LENGTH,
                temperature=usual.temperature,
                top_k=usual.top_k,
                seed=usual.seed,
                start=self._start,
            )
            rows.append(sample_of(self._generator, prompt, generated))
        return rows
