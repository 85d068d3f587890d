"""Predicts texts, sentences and series held in memory with a model that is loaded once."""

import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.sequences.batches import by_length
from dlcli.data.sequences.dataset import Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.series.sequence import as_steps
from dlcli.data.text.files import plain_spaces
from dlcli.errors import InputError
from dlcli.evaluation.multilabel import predicted_labels
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.load import NumberRecipe, SequenceRecipe, TextRecipe
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.predictions import Ranking, listed
from dlcli.tasks.predictor import Kind, PaddedNetwork, ShownSteps, ShownTokens
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.evaluation import calibration_of
from dlcli.tasks.sequences.outputs import in_order, label_scores, lengths_of, raw_batch, with_outputs
from dlcli.tasks.sequences.page_explanation import Explainer, explainer_of
from dlcli.tasks.sequences.prediction import rank_classes, rank_tags, tag_rows, value_rows
from dlcli.tasks.sequences.tagging import predict_word_batches, with_word_outputs
from dlcli.tasks.several_labels import label_row, read_thresholds, usable_thresholds

Batches = Iterator[tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]]


class SequencePredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` of a run that predicts a class, labels or a number of each text or
    series, or the tags of words.

    Raises:
        InputError: the run has no model, or one of its files is corrupt.
    """

    def __init__(self, run: RunDir, recipe: SequenceRecipe, console: Console) -> None:
        best = load_sequence_model(run, recipe, console)
        is_number, is_tagger = isinstance(recipe, NumberRecipe), isinstance(recipe, Tagging)
        self.run = run
        self.model = best.model
        self.kind: Kind = "texts" if isinstance(recipe, TextRecipe | Tagging) else "series"
        self.classes = () if is_number else run.read_classes()
        self._recipe = recipe
        self._calibration = calibration_of(run, recipe, best, console)
        self._thresholds = None
        if isinstance(recipe, TextMultilabel):
            chosen = read_thresholds(run, self.classes)
            self._thresholds = usable_thresholds(chosen, len(self.classes), console)
        network = with_word_outputs(best.model) if is_tagger else with_outputs(best.model)
        self._network = PaddedNetwork(network, largest=recipe.train.batch_size)
        self.batch_sizes = self._network.sizes
        self._num_features = best.model.inputs[0].shape[-1]
        self.shows = not is_tagger

    def read(self, sample: str | NDArray[Any], *, name: str | None = None) -> Any:
        """As :meth:`dlcli.tasks.predictor.Predictor.read`: a text, or the steps of a series, float32
        ``[steps, features]``."""
        if self.kind == "texts":
            return read_text(sample, name)
        name = name or "the series"
        values = np.asarray(sample)
        if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != self._num_features):
            raise InputError(
                f"{name}: must be an array [steps, {self._num_features}], as in training. Received shape "
                f"{values.shape}."
            )
        (steps,) = as_steps(values[None], None, name, lengths_source=name)
        if steps.shape[1] != self._num_features:
            raise InputError(f"{name}: every step must have {self._num_features} features. Received 1.")
        return steps

    def read_line(self, line: str, *, name: str) -> Any:
        """As :meth:`dlcli.tasks.predictor.ReadsLines.read_line`."""
        return self.read(line if self.kind == "texts" else numbers_of_json(line, name), name=name)

    def predict(
        self,
        samples: Sequence[Any],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`."""
        if not samples:
            return []
        if isinstance(self._recipe, Tagging):
            return self._predict_tags(samples, self._recipe)
        names, labels = ("",) * len(samples), np.zeros(len(samples), np.int32)
        if self.kind == "texts":
            sequences = Sequences(names, labels, digests=(), texts=tuple(samples))
        else:
            sequences = Sequences(names, labels, digests=(), values=Ragged.join(samples))
        rows = self._rows(self._outputs(sequences), len(samples), top)
        return [{"text": text} | row for text, row in zip(samples, rows, strict=True)] if sequences.texts else rows

    def show(self, sample: Any) -> ShownTokens | ShownSteps | None:
        """As :meth:`dlcli.tasks.predictor.Shows.show`: by integrated gradients, for the most probable class or label,
        or the number."""
        return None if self._explainer is None else self._explainer(sample)

    @functools.cached_property
    def _explainer(self) -> Explainer | None:
        return explainer_of(self.run, self._recipe, self.model, self.classes)

    def _rows(self, batches: Batches, num_samples: int, top: int) -> list[dict[str, Any]]:
        """The predictions of samples, in their order."""
        if isinstance(self._recipe, NumberRecipe):
            return value_rows(in_order(batches, num_samples))
        if self._thresholds is not None:
            _, scores = label_scores(batches)
            is_predicted = predicted_labels(scores, self._thresholds)
            return [label_row(*parts, self.classes) for parts in zip(scores, is_predicted, strict=True)]
        ranking = Ranking(num_samples, len(self.classes), num_top=top, output=None, calibration=self._calibration)
        rank_classes(ranking, batches)
        return list(listed(ranking.ranked(), self.classes, top))

    def _outputs(self, samples: Sequences) -> Batches:
        """As :func:`dlcli.tasks.sequences.evaluation.predict_samples`, in batches of a few sizes."""
        for index in by_length(lengths_of(samples), self._network.largest):
            yield index, self._network(raw_batch(samples, index))

    def _predict_tags(self, texts: Sequence[str], recipe: Tagging) -> list[dict[str, Any]]:
        sentences = [tuple(text.split())[: recipe.text.max_length] for text in texts]
        number = sum(map(len, sentences))
        if not number:
            return list(tag_rows(sentences, np.zeros(0, np.int32), self.classes))
        parts = predict_word_batches(self._network, sentences, batch_size=self._network.largest)
        ranked = rank_tags(parts, number, len(self.classes), self._calibration)
        return list(tag_rows(sentences, ranked.predicted, self.classes))


def numbers_of_json(line: str, name: str) -> NDArray[np.float64]:
    """The numbers in a line that is a JSON list, NaN for ``null``.

    Raises:
        InputError: it is not one, or its lists are of unequal lengths.
    """
    rule = f"{name}: a series must be a JSON list, [1.5, 2] or [[1.5, 0], [2, 1]] with the features of each step."
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{rule} Received '{shortened(printable(line))}'.") from None
    if not isinstance(value, list):
        raise InputError(f"{rule} Received '{shortened(printable(line))}'.")
    try:
        return np.array(value, np.float64)  # null becomes NaN
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{rule} Received other values than numbers, or lists of unequal lengths.") from None


def read_text(sample: Any, name: str | None = None) -> str:
    """A text as ``dlcli predict`` reads it.

    Raises:
        InputError: it is not a string.
    """
    if not isinstance(sample, str):
        raise InputError(f"{name or 'the text'}: must be a string. Received {type(sample).__name__}.")
    return plain_spaces(sample)
