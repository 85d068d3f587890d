"""Applies a trained encoder-decoder: finds the most likely target texts by beam search, with their attention."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.text.vocabulary import END, FIRST, PADDING, UNKNOWN
from dlcli.errors import InputError
from dlcli.models.sequences.encoder_decoder import Decoder
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequences.tokens import check_tokens, encodable, read_vocabulary, standardized_pieces

UNKNOWN_TOKEN = "[UNK]"  # in place of a token that has no text


@dataclass(frozen=True)
class Hypothesis:
    """A decoded target text.

    Attributes:
        ids: of its tokens, without the end token.
        log_probability: of all tokens, the end token included if there is one, in nats.
        attention: from each target token, the end token included, to each source token, ``[target, source]``; None
            for a model without attention.
        copied: the source token that stands for each unknown token of ``ids``, in their order.
    """

    ids: tuple[int, ...]
    log_probability: float
    attention: np.ndarray | None
    copied: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextDecoder:
    """A saved encoder-decoder with its vocabularies.

    Attributes:
        recipe: the recipe that the model was trained with.
        model: source text -> the words or characters of the target text.
        source, target: the tokens of the two vocabularies; the id of the i-th is ``FIRST + i``.
    """

    recipe: SequenceToSequence
    model: keras.Model
    source: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def decoder(self) -> Decoder:
        """The model's decoder layer."""
        decoder: Decoder = self.model.get_layer("answers").decoder
        return decoder

    @functools.cached_property
    def front(self) -> keras.Model:
        """The model's own first layers: raw text -> token ids, padded with 0."""
        return keras.Model(self.model.input, self.model.get_layer("embedding").input)

    def text_of(self, ids: Sequence[int], copied: Sequence[str] = ()) -> str:
        """The text of target token ids, in which ``copied`` stand for the unknown ones."""
        separator, copies = " " if self.recipe.text.unit == "words" else "", iter(copied)
        tokens = (self.target[id_ - FIRST] if id_ >= FIRST else next(copies, UNKNOWN_TOKEN) for id_ in ids)
        return separator.join(tokens)

    def network(self) -> keras.Model:
        """The network as it was trained: ``{given, before, forced}`` -> logits."""
        before = keras.Input(shape=(None,), dtype="int32", name="before")
        forced = keras.Input(shape=(None,), dtype="float32", name="forced")
        logits = self.decoder(*self.model.get_layer("answers").input, before, forced)
        given = self.model.get_layer("embedding").input
        given.name = "given"  # Keras distinguishes several inputs by their names
        return keras.Model({"given": given, "before": before, "forced": forced}, logits)

    def source_tokens(self, text: str) -> list[str]:
        """The tokens of a source text as the model sees them; "?" for unknown ones."""
        ids = self._source_ids([text])[0]
        return [self.source[id_ - FIRST] if id_ >= FIRST else "?" for id_ in ids if id_ != PADDING]

    def count_unknown(self, texts: Sequence[str]) -> int:
        """The number of source texts that are empty or have unknown tokens."""
        parts = (self._source_ids(texts[start : start + 1024]) for start in range(0, len(texts), 1024))
        return sum(int((ids == UNKNOWN).any(axis=1).sum()) for ids in parts)

    def _source_ids(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self.front(tf.constant([encodable(text) for text in texts])))

    def decode(
        self, texts: Sequence[str], *, beam: int, batch_size: int, copy_unknown: bool = False, console: Console
    ) -> list[Hypothesis]:
        """Decode the target text of each source text: the one with the largest mean log probability of its tokens.

        Args:
            beam: hypotheses kept at each step; 1 for greedy decoding.
            batch_size: source texts decoded at a time.
            copy_unknown: generate unknown tokens, too, each of which becomes the source token with the largest
                attention weight (Luong, Sutskever et al. 2015, section 3.3; Jean et al. 2015, section 3.3); otherwise
                no unknown token is generated.

        Raises:
            InputError: tokens are to be copied by a model without attention.
        """
        if copy_unknown and self.decoder.cell.attention == "none":
            raise InputError(
                "--copy-unknown: needs a model with attention, which says what is copied. Received one that was "
                "trained with model.attention: none."
            )
        usable = [encodable(text) for text in texts]
        order = np.argsort([len(text) for text in usable], kind="stable")
        search = self._search
        hypotheses: list[Hypothesis | None] = [None] * len(texts)
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            found = search(tf.constant([usable[i] for i in index]), beam, copy_unknown)
            for i, hypothesis in zip(index, found, strict=True):
                hypotheses[i] = self._with_copies(hypothesis, texts[i])
            console.evaluating(min(start + batch_size, len(order)), len(order))
        return [hypothesis for hypothesis in hypotheses if hypothesis is not None]

    def _with_copies(self, hypothesis: Hypothesis, text: str) -> Hypothesis:
        """A hypothesis for a source text with the source tokens that stand for its unknown ones."""
        unknown = [place for place, id_ in enumerate(hypothesis.ids) if id_ == UNKNOWN]
        if not unknown:
            return hypothesis
        assert hypothesis.attention is not None
        tokens = standardized_pieces(text, self.recipe.text) or [UNKNOWN_TOKEN]  # of an empty text
        return replace(hypothesis, copied=tuple(tokens[int(hypothesis.attention[i].argmax())] for i in unknown))

    @functools.cached_property
    def _search(self) -> Any:
        """A function that decodes a batch of source texts; it is compiled once."""
        decoder, cell = self.decoder, self.decoder.cell
        encoder = keras.Model(self.model.input, self.model.get_layer("answers").input)
        has_attention = cell.attention != "none"

        def encode(texts: Any, beam: Any) -> Any:
            memory, mask, last = encoder(texts, training=False)
            return [tf.repeat(x, beam, axis=0) for x in (memory, mask, cell.keys(memory), *decoder.first_states(last))]

        def step(tokens: Any, copy_unknown: Any, memory: Any, mask: Any, keys: Any, *states: Any) -> Any:
            cell.attend_to(memory, mask, keys)
            vector, new_states, weights = cell.step(cell.embedding(tokens), list(states))
            logits = cell.logits(vector)
            logits = tf.where(~copy_unknown & (tf.range(cell.num_tokens) == UNKNOWN), -np.inf, logits)
            return tf.nn.log_softmax(logits), weights if has_attention else (), new_states

        compiled_encode = tf.function(encode, reduce_retracing=True, autograph=False)
        compiled_step = tf.function(step, reduce_retracing=True, autograph=False)

        def search(texts: Any, beam: int, copy_unknown: bool) -> list[Hypothesis]:
            memory, mask, keys, *states = compiled_encode(texts, tf.constant(beam))
            copies = tf.constant(copy_unknown)

            def next_scores(tokens: np.ndarray, parents: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
                nonlocal states
                if parents is not None:
                    states = [tf.gather(state, parents) for state in states]
                scores, weights, states = compiled_step(tf.constant(tokens), copies, memory, mask, keys, *states)
                return scores.numpy(), weights.numpy() if has_attention else None

            lengths = np.asarray(mask).reshape(len(texts), beam, -1)[:, 0].sum(axis=1)
            return beam_search(
                next_scores, lengths, beam=beam, start=cell.num_tokens, max_length=self.recipe.text.max_length
            )

        return search


def beam_search(next_scores: Any, lengths: np.ndarray, *, beam: int, start: int, max_length: int) -> list[Hypothesis]:
    """Find a target text for each source text by beam search, normalized by length.

    Args:
        next_scores: (the last token of each hypothesis, ``[texts * beam]``; the index of the hypothesis that each one
            extends, or None in the first step) -> the log probabilities of the next token, ``[texts * beam, tokens]``,
            and the attention, ``[texts * beam, source]``, or None.
        lengths: number of tokens in each source text.
        beam: hypotheses kept for each text.
        start: the id of the start token.
        max_length: the most tokens of a target text, its end token included.

    Returns:
        For each text the hypothesis with the largest mean log probability of its tokens, among those in the last beam.
    """
    num = len(lengths)
    sums = np.full((num, beam), -np.inf)
    sums[:, 0] = 0.0
    counts = np.zeros((num, beam), np.int64)
    has_ended = np.zeros((num, beam), bool)
    ids = np.zeros((num, beam, 0), np.int32)
    attention: list[np.ndarray] = []
    tokens, parents = np.full(num * beam, start, np.int32), None
    for _ in range(max_length):
        scores, weights = next_scores(tokens, parents)
        scores = scores.reshape(num, beam, -1).astype(np.float64)
        num_tokens = scores.shape[-1]
        scores[has_ended] = -np.inf
        scores[has_ended, END] = 0.0  # a hypothesis that has ended stays unchanged
        total = sums[:, :, None] + scores
        new_counts = counts + ~has_ended
        order = np.argsort(-(total / new_counts[:, :, None]).reshape(num, -1), axis=1, kind="stable")[:, :beam]
        parent, token = order // num_tokens, (order % num_tokens).astype(np.int32)
        rows = np.arange(num)[:, None]
        sums = total.reshape(num, -1)[rows, order]
        counts = new_counts[rows, parent]
        has_ended = has_ended[rows, parent] | (token == END)
        ids = np.concatenate([ids[rows, parent], token[:, :, None]], axis=2)
        if weights is not None:
            attention = [past[rows, parent] for past in (*attention, weights.reshape(num, beam, -1))]
        parents = (rows * beam + parent).reshape(-1)
        # hypotheses that have ended are fed an arbitrary token, which does not affect the others
        tokens = np.where(token == END, start, token).reshape(-1)
        if has_ended.all():
            break
    best = np.argmax(sums / np.maximum(counts, 1), axis=1)
    hypotheses = []
    for row, column in enumerate(best):
        steps = int(counts[row, column])
        target_ids = tuple(int(id_) for id_ in ids[row, column, :steps] if id_ != END)
        weights = np.stack([past[row, column, : lengths[row]] for past in attention[:steps]]) if attention else None
        hypotheses.append(Hypothesis(target_ids, float(sums[row, column]), weights))
    return hypotheses


def load_text_decoder(run: RunDir, recipe: SequenceToSequence, console: Console) -> TextDecoder:
    """Load the best model of a run.

    Raises:
        InputError: there is no model yet, or it or a vocabulary is corrupt.
    """
    return text_decoder_of(run, recipe, load_model(run, console).model)


def text_decoder_of(run: RunDir, recipe: SequenceToSequence, model: keras.Model) -> TextDecoder:
    """The decoder for a model of a run that is loaded already.

    Raises:
        InputError: it is not an encoder-decoder of this run, or a vocabulary is corrupt.
    """
    layers = {layer.name: layer for layer in model.layers}
    if not {"embedding", "answers", "tokens", "spelled"} <= layers.keys():
        raise InputError(f"{run.model}: is not the model that this run saved: it must take text and output text.")
    sizes = (layers["embedding"].input_dim, layers["answers"].decoder.cell.num_tokens)
    tokens = []
    for path, size in zip((run.vocabulary, run.target_vocabulary), sizes, strict=True):
        tokens.append(read_vocabulary(path))
        layer = layers["tokens" if path == run.vocabulary else "spelled"]
        if FIRST + len(tokens[-1]) != size:
            raise InputError(
                f"{path}: must have the {size - FIRST:,} tokens of the model's vocabulary. "
                f"Received {len(tokens[-1]):,}. Restore it from a copy."
            )
        check_tokens(path, tokens[-1], layer)
    return TextDecoder(recipe, model, *tokens)
