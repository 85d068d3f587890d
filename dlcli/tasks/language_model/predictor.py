"""Continues texts held in memory with a language model that is loaded once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.data.files import printable
from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.evaluation import default_prompt
from dlcli.tasks.language_model.generation import MAX_NAMED, sample_of
from dlcli.tasks.language_model.generator import load_generator
from dlcli.tasks.predictor import Kind
from dlcli.tasks.sequences.predictor import read_text
from dlcli.tasks.task import GenerationRequest

LENGTH = 200  # tokens that are added to each text


@dataclass(frozen=True)
class Prompt:
    """The beginning of a text, the class of the text where texts have one, and the token ids of both."""

    text: str
    label: str | None
    ids: list[int]


class LanguagePredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` whose samples are prompts, and whose predictions their continuations.

    The same prompt always has the same continuation, that of ``dlcli generate --length 200``. A model whose texts have
    classes takes prompts with one of them: ``{"text": …, "class": …}``.

    Raises:
        InputError: the run has no model, or it is corrupt.
    """

    kind: Kind = "texts"
    batch_sizes: tuple[int, ...] = (1,)

    def __init__(self, run: RunDir, recipe: LanguageModel, console: Console) -> None:
        self.run = run
        self._generator = load_generator(run, recipe, console)
        self.classes = self._generator.classes
        self.takes_class = bool(self.classes)
        self.model = self._generator.model
        self._start = self._generator.compiled(1)

    def read(self, sample: str | Mapping[str, str], *, name: str | None = None) -> Prompt:
        """The prompt and its token ids; of an empty one, those that ``dlcli generate`` starts from."""
        label = self._class_of(sample, name or "the text") if self.takes_class else None
        text = sample["text"] if self.takes_class and not isinstance(sample, str) else sample
        prompt, generator = read_text(text, name), self._generator
        is_empty = not prompt and not generator.has_ends
        return Prompt(prompt, label, default_prompt(generator) if is_empty else generator.encode(prompt, label))

    def _class_of(self, sample: str | Mapping[str, str], name: str) -> str:
        label = None if isinstance(sample, str) else sample.get("class")
        if label in self.classes:
            return str(label)
        known = ", ".join(self.classes[:MAX_NAMED]) + (", …" if len(self.classes) > MAX_NAMED else "")
        received = "no class" if label is None else f"'{shortened(printable(str(label)))}'"
        raise InputError(
            f'{name}: must have a class, {{"text": "…", "class": "…"}}, one of {known}. Received {received}.'
        )

    def predict(
        self,
        samples: Sequence[Prompt],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`: rows with ``text`` and ``added``, and ``class``."""
        usual = GenerationRequest()
        rows = []
        for prompt in samples:
            (generated,) = self._generator.generate(
                [prompt.ids],
                length=LENGTH,
                temperature=usual.temperature,
                top_k=usual.top_k,
                seed=usual.seed,
                start=self._start,
            )
            own = {} if prompt.label is None else {"class": prompt.label}
            rows.append({**own, **sample_of(self._generator, prompt.text, generated)})
        return rows
