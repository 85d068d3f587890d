"""A trained encoder and decoder at work: the likeliest answers to texts, by beam search, and where attention lay."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.text.vocabulary import END, FIRST, PADDING, UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.tasks.run_models import model_file
from dlcli.tasks.sequences.tokens import check_tokens, encodable, read_vocabulary


@dataclass(frozen=True)
class Answer:
    """What is said of a text.

    Attributes:
        tokens: their numbers, without the end.
        log_probability: of all tokens and, where there is one, the end, in nats.
        attention: of each token said, the end too, to each one given ``[said, given]``; None without attention.
    """

    tokens: tuple[int, ...]
    log_probability: float
    attention: np.ndarray | None


@dataclass(frozen=True)
class Answerer:
    """A saved model that answers texts, and what its numbers mean.

    Attributes:
        model: text -> the words or characters of its answer.
        given, wanted: tokens of both vocabularies; the number of the i-th is ``FIRST + i``.
    """

    recipe: SequenceToSequence
    model: keras.Model
    given: tuple[str, ...]
    wanted: tuple[str, ...]

    @property
    def decoder(self) -> Any:
        """The model's decoder layer."""
        return self.model.get_layer("answers").decoder

    @functools.cached_property
    def front(self) -> keras.Model:
        """From raw text to the numbers of its tokens, 0 after each text's end: the model's own first layers."""
        return keras.Model(self.model.input, self.model.get_layer("embedding").input)

    def write(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens."""
        joint = " " if self.recipe.text.unit == "words" else ""
        return joint.join(self.wanted[number - FIRST] if number >= FIRST else "[UNK]" for number in tokens)

    def network(self) -> keras.Model:
        """What is trained: ``{given, before, forced}`` -> logits."""
        before = keras.Input(shape=(None,), dtype="int32", name="before")
        forced = keras.Input(shape=(None,), dtype="float32", name="forced")
        logits = self.decoder(*self.model.get_layer("answers").input, before, forced)
        given = self.model.get_layer("embedding").input
        given.name = "given"  # Keras tells several inputs by their names
        return keras.Model({"given": given, "before": before, "forced": forced}, logits)

    def pieces(self, text: str) -> list[str]:
        """The tokens that are seen of a text, as they are known."""
        numbers = self._numbers([text])[0]
        return [self.given[number - FIRST] if number >= FIRST else "?" for number in numbers if number != PADDING]

    def count_unknown(self, texts: Sequence[str]) -> int:
        """Texts with tokens that are not known, the empty ones too."""
        parts = (self._numbers(texts[start : start + 1024]) for start in range(0, len(texts), 1024))
        return sum(int((numbers == UNKNOWN).any(axis=1).sum()) for numbers in parts)

    def _numbers(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self.front(tf.constant([encodable(text) for text in texts])))

    def answer(self, texts: Sequence[str], *, beam: int, batch_size: int, console: Console) -> list[Answer]:
        """The likeliest answer to each text, by the mean logarithm of its tokens' probabilities.

        Args:
            beam: beginnings of answers that are kept at each step; 1 is to take the likeliest token always.
        """
        usable = [encodable(text) for text in texts]
        order = np.argsort([len(text) for text in usable], kind="stable")
        search = self._search()
        found: list[Answer | None] = [None] * len(texts)
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            for i, answer in zip(index, search(tf.constant([usable[i] for i in index]), beam), strict=True):
                found[i] = answer
            console.evaluating(min(start + batch_size, len(order)), len(order))
        return [answer for answer in found if answer is not None]

    def _search(self) -> Any:
        decoder, cell = self.decoder, self.decoder.cell
        encoder = keras.Model(self.model.input, self.model.get_layer("answers").input)
        has_attention = cell.attention != "none"

        def begin(texts: Any, beam: Any) -> Any:
            memory, is_there, last = encoder(texts, training=False)
            return [
                tf.repeat(x, beam, axis=0) for x in (memory, is_there, cell.keys(memory), *decoder.first_states(last))
            ]

        def step(tokens: Any, memory: Any, is_there: Any, keys: Any, *states: Any) -> Any:
            cell.attend_to(memory, is_there, keys)
            vector, new, weights = cell.step(cell.embedding(tokens), list(states))
            logits = cell.logits(vector)
            logits = tf.where(tf.range(cell.num_tokens) == UNKNOWN, -np.inf, logits)
            return tf.nn.log_softmax(logits), weights if has_attention else (), new

        compiled_begin = tf.function(begin, reduce_retracing=True, autograph=False)
        compiled_step = tf.function(step, reduce_retracing=True, autograph=False)

        def search(texts: Any, beam: int) -> list[Answer]:
            memory, is_there, keys, *states = compiled_begin(texts, tf.constant(beam))

            def follow(tokens: np.ndarray, parents: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
                nonlocal states
                if parents is not None:
                    states = [tf.gather(state, parents) for state in states]
                scores, weights, states = compiled_step(tf.constant(tokens), memory, is_there, keys, *states)
                return scores.numpy(), weights.numpy() if has_attention else None

            lengths = np.asarray(is_there).reshape(len(texts), beam, -1)[:, 0].sum(axis=1)
            return beam_search(
                follow, lengths, beam=beam, begin=cell.num_tokens, max_length=self.recipe.text.max_length
            )

        return search


def beam_search(follow: Any, lengths: np.ndarray, *, beam: int, begin: int, max_length: int) -> list[Answer]:
    """For each text the answer whose tokens have the largest mean logarithm of their probabilities, among those found.

    Args:
        follow: (the last token of each beginning of an answer ``[texts * beam]``, of which earlier beginning each one
            is a continuation, or None at first) -> the logarithms of what may follow ``[texts * beam, tokens]``, and
            attention ``[texts * beam, given]`` or None.
        lengths: tokens given in each text.
        beam: beginnings that are kept of each text's answers.
        begin: the number before every answer.
        max_length: tokens said at most.
    """
    num = len(lengths)
    sums = np.full((num, beam), -np.inf)
    sums[:, 0] = 0.0
    counts = np.zeros((num, beam), np.int64)
    has_ended = np.zeros((num, beam), bool)
    said = np.zeros((num, beam, 0), np.int32)
    attention: list[np.ndarray] = []
    tokens, parents = np.full(num * beam, begin, np.int32), None
    for _ in range(max_length):
        scores, weights = follow(tokens, parents)
        scores = scores.reshape(num, beam, -1).astype(np.float64)
        num_tokens = scores.shape[-1]
        scores[has_ended] = -np.inf
        scores[has_ended, END] = 0.0  # what has ended stays as it is
        total = sums[:, :, None] + scores
        number = (counts + ~has_ended)[:, :, None]
        order = np.argsort(-(total / number).reshape(num, -1), axis=1, kind="stable")[:, :beam]
        of, token = order // num_tokens, (order % num_tokens).astype(np.int32)
        rows = np.arange(num)[:, None]
        sums = total.reshape(num, -1)[rows, order]
        counts = (counts + ~has_ended)[rows, of]
        has_ended = has_ended[rows, of] | (token == END)
        said = np.concatenate([said[rows, of], token[:, :, None]], axis=2)
        if weights is not None:
            attention = [past[rows, of] for past in (*attention, weights.reshape(num, beam, -1))]
        parents = (rows * beam + of).reshape(-1)
        # what has ended is fed something that changes nothing of the others
        tokens = np.where(token == END, begin, token).reshape(-1)
        if has_ended.all():
            break
    best = np.argmax(sums / np.maximum(counts, 1), axis=1)
    answers = []
    for row, column in enumerate(best):
        steps = int(counts[row, column])
        own = tuple(int(token) for token in said[row, column, :steps] if token != END)
        seen = np.stack([past[row, column, : lengths[row]] for past in attention[:steps]]) if attention else None
        answers.append(Answer(own, float(sums[row, column]), seen))
    return answers


def load_answerer(run: RunDir, recipe: SequenceToSequence) -> Answerer:
    """The best model of a run.

    Raises:
        InputError: there is none yet, or it or a vocabulary is corrupt.
    """
    return answerer_of(run, recipe, load_keras_file(model_file(run)))


def answerer_of(run: RunDir, recipe: SequenceToSequence, model: keras.Model) -> Answerer:
    """The same for a model that is loaded already."""
    layers = {layer.name: layer for layer in model.layers}
    if not {"embedding", "answers", "tokens", "spelled"} <= layers.keys():
        raise InputError(f"{run.model}: is not the model that this run saved: it must take text and give text.")
    sizes = (layers["embedding"].input_dim, layers["answers"].decoder.cell.num_tokens)
    tokens = []
    for path, size in zip((run.vocabulary, run.target_vocabulary), sizes, strict=True):
        tokens.append(read_vocabulary(path))
        layer = layers["tokens" if path == run.vocabulary else "spelled"]
        if FIRST + len(tokens[-1]) != size:
            raise InputError(
                f"{path}: must have the {size - FIRST:,} tokens that the model knows. Received {len(tokens[-1]):,}. "
                "Restore it from a copy."
            )
        check_tokens(path, tokens[-1], layer)
    return Answerer(recipe, model, *tokens)
