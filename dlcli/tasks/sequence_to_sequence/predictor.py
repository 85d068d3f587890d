"""Decodes the target texts of source texts held in memory with a model that is loaded once."""

import threading
from collections.abc import Sequence
from typing import Any

from dlcli.recipe.tasks.sequence_to_sequence import PairsTsv, SequenceToSequence
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.predictor import MAX_BATCH, Kind
from dlcli.tasks.sequence_to_sequence.decoding import load_text_decoder
from dlcli.tasks.sequence_to_sequence.prediction import before_tab, row_of
from dlcli.tasks.sequences.predictor import read_text


class TextPredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` of a run of sequence-to-sequence learning.

    Raises:
        InputError: the run has no model, or it or a vocabulary is corrupt.
    """

    kind: Kind = "texts"
    classes: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 2)  # it is compiled for the first size, then for all others

    def __init__(self, run: RunDir, recipe: SequenceToSequence, console: Console) -> None:
        self.run = run
        self._decoder = load_text_decoder(run, recipe, console)
        self.model = self._decoder.model
        self._batch_size = min(MAX_BATCH, recipe.train.batch_size)
        self._of_line = before_tab if isinstance(recipe.data, PairsTsv) else None
        self._console = Console(quiet=True)
        self._lock = threading.Lock()  # while it is compiled, the decoder keeps what it attends to

    def read(self, sample: str, *, name: str | None = None) -> str:
        """As :meth:`dlcli.tasks.predictor.Predictor.read`."""
        return read_text(sample, name)

    def read_line(self, line: str, *, name: str) -> str:
        """As :meth:`dlcli.tasks.predictor.ReadsLines.read_line`: in the format of pairs, the text before the tab."""
        return self.read(self._of_line(line) if self._of_line else line, name=name)

    def predict(
        self,
        samples: Sequence[str],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`."""
        if not samples:
            return []
        with self._lock:
            hypotheses = self._decoder.decode(
                samples, beam=beam, batch_size=self._batch_size, copy_unknown=copy_unknown, console=self._console
            )
        return [row_of(self._decoder, *pair) for pair in zip(samples, hypotheses, strict=True)]
