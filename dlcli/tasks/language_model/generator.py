"""A trained language model at work: what it makes of texts, and what it says when it goes on by itself."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.text.vocabulary import END, FIRST, PADDING, UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageRecurrent, LongText
from dlcli.rundir import RunDir
from dlcli.runtime.model_files import load_keras_file
from dlcli.tasks.language_model.network import carried_language_model
from dlcli.tasks.run_models import model_file
from dlcli.tasks.sequences.tokens import check_tokens, encodable, read_vocabulary


@dataclass(frozen=True)
class Speaker:
    """A saved language model, and what its numbers mean.

    Attributes:
        model: text -> probabilities of what follows each token.
        tokens: of the vocabulary; the number of the i-th is ``FIRST + i``.
        classes: of texts, by which a text can begin; none where texts have no classes.
    """

    recipe: LanguageModel
    model: keras.Model
    tokens: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def has_ends(self) -> bool:
        """Whether texts begin and end, as lines do; a long text goes on for ever."""
        return not isinstance(self.recipe.data, LongText)

    @functools.cached_property
    def front(self) -> keras.Model:
        """From raw text to the numbers of its tokens, 0 after each text's end: the model's own first layers."""
        return keras.Model(self.model.input, self.model.get_layer("embedding").input)

    def read(self, text: str, label: str | None = None) -> list[int]:
        """The numbers of a text's tokens, of one with ends after the number of its beginning."""
        inputs: Any = tf.constant([encodable(text)])
        if label is not None:
            inputs = {"text": inputs, "class": tf.constant([label])}
        return [number for number in np.asarray(self.front(inputs))[0].tolist() if number != PADDING]

    def write(self, numbers: Sequence[int]) -> str:
        """The text of tokens' numbers."""
        joint = " " if self.recipe.text.unit == "words" else ""
        return joint.join(self.tokens[number - FIRST] for number in numbers if number >= FIRST)

    def network(self) -> keras.Model:
        """Numbers of tokens ``[batch, steps]`` -> logits of what follows each, from a state of zeros."""
        return keras.Model(self.model.get_layer("embedding").input, self.model.get_layer("logits").output)

    def carried(self, num_samples: int) -> keras.Model:
        """The same network with states that it keeps from call to call."""
        section = self.recipe.model
        assert isinstance(section, LanguageRecurrent)
        embedding, logits = self.model.get_layer("embedding"), self.model.get_layer("logits")
        network = carried_language_model(
            section,
            self.recipe.text,
            num_ids=embedding.input_dim,
            num_tokens=logits.units,
            num_samples=num_samples,
        )
        for variable, own in zip(network.trainable_variables, self.model.trainable_variables, strict=True):
            variable.assign(own)
        return network

    # Going on ---------------------------------------------------------------------------------------------------------

    def go_on(
        self, beginnings: Sequence[Sequence[int]], *, length: int, temperature: float, top_k: int | None, seed: int
    ) -> list[list[int]]:
        """What the model says after each beginning, drawn token by token.

        Args:
            beginnings: numbers of tokens, as many in each, at least one.
            length: tokens at most; a text that has ends may end before.
            temperature: the logits are divided by it; 0 for the likeliest token always.
            top_k: draw among as many likeliest tokens only.
            seed: the i-th text depends on (seed, i), whatever the others are.

        Returns:
            The numbers of the tokens said, without the beginning and the end.
        """
        generators = [np.random.Generator(np.random.PCG64([seed, i])) for i in range(len(beginnings))]
        follow = self._follower(len(beginnings))
        said: list[list[int]] = [[] for _ in beginnings]
        has_ended = [False] * len(beginnings)
        logits = follow(np.array(beginnings, np.int32))
        while True:
            allowed = self._allowed(logits)
            drawn = [
                draw(row, generator, temperature=temperature, top_k=top_k)
                for row, generator in zip(allowed, generators, strict=True)
            ]
            for i, number in enumerate(drawn):
                has_ended[i] = has_ended[i] or number == END
                if not has_ended[i]:
                    said[i].append(number)
            if all(has_ended) or max(map(len, said)) >= length:
                return said
            # what has ended is fed something that changes nothing of the others
            logits = follow(np.array([[number if number != END else FIRST] for number in drawn], np.int32))

    def _allowed(self, logits: np.ndarray) -> np.ndarray:
        """Logits without what cannot be said: an unknown token, and the end of a text without ends."""
        logits = logits.astype(np.float64)
        logits[:, UNKNOWN] = -np.inf
        if not self.has_ends:
            logits[:, END] = -np.inf
        return logits

    def _follower(self, num_samples: int) -> Callable[[np.ndarray], np.ndarray]:
        """Takes some more tokens ``[num_samples, n]``, and gives the logits of what follows ``[num_samples, tokens]``.

        Recurrent layers keep their state; others see the last tokens again, as many as in training.
        """
        if isinstance(self.recipe.model, LanguageRecurrent):
            network = self.carried(num_samples)
            step = tf.function(
                lambda ids, is_first: network({"ids": ids, "is_first": is_first}, training=False)[:, -1],
                input_signature=[tf.TensorSpec([num_samples, None], tf.int32), tf.TensorSpec([num_samples], tf.bool)],
                autograph=False,
            )
            begun: list[bool] = []

            def follow(ids: np.ndarray) -> np.ndarray:
                is_first = tf.fill([num_samples], not begun)
                begun.append(True)
                return np.asarray(step(tf.constant(ids), is_first))

            return follow
        network = self.network()
        last = tf.function(
            lambda ids: network(ids, training=False)[:, -1],
            input_signature=[tf.TensorSpec([num_samples, None], tf.int32)],
            autograph=False,
        )
        seen = [np.empty((num_samples, 0), np.int32)]

        def follow_again(ids: np.ndarray) -> np.ndarray:
            seen[0] = np.concatenate([seen[0], ids], axis=1)[:, -self.recipe.text.max_length :]
            return np.asarray(last(tf.constant(seen[0])))

        return follow_again


def draw(logits: np.ndarray, generator: np.random.Generator, *, temperature: float, top_k: int | None) -> int:
    """A token by its probability: the softmax of ``logits / temperature``, of the ``top_k`` largest where given."""
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = np.where(logits < np.sort(logits)[-top_k], -np.inf, logits)
    powers = np.exp((logits - logits.max()) / temperature)
    sums = np.cumsum(powers)
    return int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))


def load_speaker(run: RunDir, recipe: LanguageModel) -> Speaker:
    """The best model of a run.

    Raises:
        InputError: there is none yet, or it or the vocabulary is corrupt.
    """
    return speaker_of(run, recipe, load_keras_file(model_file(run)))


def speaker_of(run: RunDir, recipe: LanguageModel, model: keras.Model) -> Speaker:
    """The same for a model that is loaded already."""
    tokens = read_vocabulary(run.vocabulary)
    classes = run.read_classes() if "classes" in run.read_info()["data"] else ()
    units = next((layer.units for layer in model.layers if layer.name == "logits"), None)
    if units is None or not {"embedding", "tokens"} <= {layer.name for layer in model.layers}:
        raise InputError(f"{run.model}: is not the model that this run saved: it must take text and say what follows.")
    if units != FIRST + len(tokens):
        raise InputError(
            f"{run.vocabulary}: must have the {units - FIRST:,} tokens that the model knows. Received {len(tokens):,}. "
            "Restore it from a copy."
        )
    check_tokens(run.vocabulary, tokens, model.get_layer("tokens"))
    return Speaker(recipe, model, tokens, classes)
