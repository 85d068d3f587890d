"""Applies a trained language model: encodes texts, predicts the next token, and generates text."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.text.vocabulary import END, FIRST, PADDING, UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageRecurrent, LongText
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.network import stateful_language_model
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequences.tokens import check_tokens, encodable, read_vocabulary

NextLogits = Callable[[np.ndarray], np.ndarray]
"""Further token ids ``[samples, n]`` of some texts -> the logits of the next token ``[samples, tokens]``."""


@dataclass(frozen=True)
class Generator:
    """A saved language model with its vocabulary.

    Attributes:
        recipe: the recipe that the model was trained with.
        model: text -> probabilities of the next token at each position.
        tokens: of the vocabulary; the id of the i-th is ``FIRST + i``.
        classes: the classes on which generation can be conditioned; empty if texts have no classes.
    """

    recipe: LanguageModel
    model: keras.Model
    tokens: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def has_ends(self) -> bool:
        """Whether texts have a start and an end token, as lines do; one long text does not."""
        return not isinstance(self.recipe.data, LongText)

    @functools.cached_property
    def front(self) -> keras.Model:
        """The model's own first layers: raw text -> token ids, padded with 0."""
        return keras.Model(self.model.input, self._ids)

    @property
    def _ids(self) -> Any:
        """The token ids in the model ``[batch, tokens]``; an embedding that is tied has a second input."""
        names = {layer.name for layer in self.model.layers}
        return (
            self.model.get_layer("token_ids").output
            if "token_ids" in names
            else self.model.get_layer("embedding").input
        )

    def encode(self, text: str, label: str | None = None) -> list[int]:
        """The token ids of a text, after its start token if texts have one (`has_ends`)."""
        inputs: Any = tf.constant([encodable(text)])
        if label is not None:
            inputs = {"text": inputs, "class": tf.constant([label])}
        return [id_ for id_ in np.asarray(self.front(inputs))[0].tolist() if id_ != PADDING]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; padding, end and unknown tokens are dropped."""
        separator = " " if self.recipe.text.unit == "words" else ""
        return separator.join(self.tokens[id_ - FIRST] for id_ in ids if id_ >= FIRST)

    def network(self) -> keras.Model:
        """Token ids ``[batch, steps]`` -> logits of the next token at each position, from an initial state of zeros."""
        return keras.Model(self._ids, self.model.get_layer("logits").output)

    def stateful_network(self, num_samples: int) -> keras.Model:
        """The same network, keeping its states from call to call, for batches of ``num_samples``."""
        section = self.recipe.model
        assert isinstance(section, LanguageRecurrent)
        embedding, logits = self.model.get_layer("embedding"), self.model.get_layer("logits")
        network = stateful_language_model(
            section,
            self.recipe.text,
            num_ids=embedding.input_dim,
            num_tokens=int(logits.output.shape[-1]),
            num_samples=num_samples,
        )
        for variable, trained in zip(network.trainable_variables, self.model.trainable_variables, strict=True):
            variable.assign(trained)
        return network

    # Generating -------------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        length: int,
        temperature: float,
        top_k: int | None,
        seed: int,
        start: Callable[[], NextLogits] | None = None,
    ) -> list[list[int]]:
        """Generate a continuation of each prompt, token by token.

        Args:
            prompts: token ids; all prompts have the same length, at least 1.
            length: the most tokens to generate; a text with an end token may end earlier.
            temperature: divides the logits; 0 always takes the most likely token.
            top_k: sample from the ``top_k`` most likely tokens only; None for all.
            seed: the i-th text depends on (seed, i) alone, whatever the other prompts are.
            start: what :meth:`compiled` returned for so many prompts, to be used again; None to compile the network.

        Returns:
            The ids of the generated tokens, without the prompt and the end token.
        """
        rngs = [np.random.Generator(np.random.PCG64([seed, i])) for i in range(len(prompts))]
        next_logits = (start or self.compiled(len(prompts)))()
        generated: list[list[int]] = [[] for _ in prompts]
        has_ended = [False] * len(prompts)
        logits = next_logits(np.array(prompts, np.int32))
        while True:
            allowed = self._allowed(logits)
            sampled = [
                sample(row, rng, temperature=temperature, top_k=top_k) for row, rng in zip(allowed, rngs, strict=True)
            ]
            for i, id_ in enumerate(sampled):
                has_ended[i] = has_ended[i] or id_ == END
                if not has_ended[i]:
                    generated[i].append(id_)
            if all(has_ended) or max(map(len, generated)) >= length:
                return generated
            # texts that have ended are fed an arbitrary token, which does not affect the others
            logits = next_logits(np.array([[id_ if id_ != END else FIRST] for id_ in sampled], np.int32))

    def _allowed(self, logits: np.ndarray) -> np.ndarray:
        """The logits with minus infinity for tokens that are never generated: UNKNOWN, and END without `has_ends`."""
        logits = logits.astype(np.float64)
        logits[:, UNKNOWN] = -np.inf
        if not self.has_ends:
            logits[:, END] = -np.inf
        return logits

    def compiled(self, num_samples: int) -> Callable[[], NextLogits]:
        """Compile the network with its present weights; what is returned starts new texts, one batch after the other.

        Recurrent layers keep their states between calls; other networks see the last ``text.max_length`` tokens again.
        """
        if isinstance(self.recipe.model, LanguageRecurrent):
            network = self.stateful_network(num_samples)
            step = tf.function(
                lambda ids, is_first: network({"ids": ids, "is_first": is_first}, training=False)[:, -1],
                input_signature=[tf.TensorSpec([num_samples, None], tf.int32), tf.TensorSpec([num_samples], tf.bool)],
                autograph=False,
            )

            def start() -> NextLogits:
                num_calls = itertools.count()

                def next_logits(ids: np.ndarray) -> np.ndarray:
                    is_first = tf.fill([num_samples], next(num_calls) == 0)
                    return np.asarray(step(tf.constant(ids), is_first))

                return next_logits

            return start
        network = self.network()
        last = tf.function(
            lambda ids: network(ids, training=False)[:, -1],
            input_signature=[tf.TensorSpec([num_samples, None], tf.int32)],
            autograph=False,
        )

        def start_window() -> NextLogits:
            context = np.empty((num_samples, 0), np.int32)

            def next_logits(ids: np.ndarray) -> np.ndarray:
                nonlocal context
                context = np.concatenate([context, ids], axis=1)[:, -self.recipe.text.max_length :]
                return np.asarray(last(tf.constant(context)))

            return next_logits

        return start_window


def sample(logits: np.ndarray, rng: np.random.Generator, *, temperature: float, top_k: int | None) -> int:
    """Sample a token id from the softmax of ``logits / temperature``, over the ``top_k`` largest logits if given."""
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = np.where(logits < np.sort(logits)[-top_k], -np.inf, logits)
    weights = np.exp((logits - logits.max()) / temperature)
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))


def load_generator(run: RunDir, recipe: LanguageModel, console: Console) -> Generator:
    """Load the best model of a run.

    Raises:
        InputError: there is no model yet, or it or the vocabulary is corrupt.
    """
    return generator_of(run, recipe, load_model(run, console).model)


def generator_of(run: RunDir, recipe: LanguageModel, model: keras.Model) -> Generator:
    """The generator for a model of a run that is loaded already.

    Raises:
        InputError: it is not a language model of this run, or the vocabulary is corrupt.
    """
    tokens = read_vocabulary(run.vocabulary)
    classes = run.read_classes() if "classes" in run.read_info()["data"] else ()
    units = next((layer.output.shape[-1] for layer in model.layers if layer.name == "logits"), None)
    if units is None or not {"embedding", "tokens"} <= {layer.name for layer in model.layers}:
        raise InputError(f"{run.model}: is not the model that this run saved: it must take text and predict tokens.")
    if units != FIRST + len(tokens):
        raise InputError(
            f"{run.vocabulary}: must have the {units - FIRST:,} tokens of the model's vocabulary. "
            f"Received {len(tokens):,}. Restore it from a copy."
        )
    check_tokens(run.vocabulary, tokens, model.get_layer("tokens"))
    return Generator(recipe, model, tokens, classes)
