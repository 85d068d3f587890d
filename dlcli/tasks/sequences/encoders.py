"""Builds the encoder of a sequence network: from raw text or series to steps or one vector."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.text.vocabulary import Vocabulary
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import convolutional, ntm, recurrent, series_input, text_input, transformer
from dlcli.models.sequences.pooling import Pooling, pooled
from dlcli.recipe.sections.sequence_model import AnyStepModel, Convolutional, Ntm, Recurrent, StepModel, Transformer
from dlcli.recipe.sections.text_data import Tokens
from dlcli.recipe.tasks.sequence_to_sequence import EncoderDecoder

DEFAULT_POOLING: dict[str, Pooling] = {"recurrent": "last", "convolutional": "max", "transformer": "mean"}


@dataclass(frozen=True)
class SequenceNetwork:
    """A network of sequences.

    Attributes:
        model: raw values (text, numbers) -> final answers (probabilities, numbers).
        trained: what training sees -> logits or numbers: of text the numbers of tokens, int32 ``[b, steps]``, 0 after
            each end; of sequences of numbers these. It shares its layers with the model.
    """

    model: keras.Model
    trained: keras.Model


@dataclass(frozen=True)
class Scale:
    """Of each feature in the training split ``[features]``, and of the numbers to predict."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    target_mean: float = 0.0
    target_variance: float = 1.0


def token_ids(text: Any, tokens: Tokens, vocabulary: Vocabulary, *, max_length: int | None) -> Any:
    """The numbers of raw texts' tokens, as :func:`dlcli.models.sequences.text_input.token_ids` has them."""
    return text_input.token_ids(
        text,
        unit=tokens.unit,
        standardize=tokens.final_standardize,
        forms=vocabulary.forms,
        token_of_form=vocabulary.token_of_form,
        max_length=max_length,
    )


def series_vector(section: StepModel, scale: Scale) -> tuple[Any, Any]:
    values = keras.Input(shape=(None, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    return values, pooled_vector(section, x, mask)


def pooled_vector(section: StepModel, x: Any, mask: Any) -> Any:
    """One vector for each sequence, ``[batch, units]``, with dropout before the answer."""
    pooling = section.pooling or DEFAULT_POOLING[section.kind]
    if isinstance(section, Recurrent) and pooling == "last":
        vector = _recurrent(section, x, mask, last_only=True)
    else:
        vector = pooled(steps_of(section, x, mask), mask, pooling=pooling)
    return heads.dense_layers(vector, dense=(), dropout=section.dropout)


def steps_of(section: AnyStepModel, x: Any, mask: Any, *, is_first: Any = None) -> Any:
    """An output for each step: ``[batch, steps, features]`` -> ``[batch, steps, units]``.

    Args:
        is_first: for recurrent layers that carry their states, as in :func:`dlcli.models.sequences.recurrent.steps`.
    """
    match section:
        case Recurrent():
            return _recurrent(section, x, mask, last_only=False, is_first=is_first)
        case Convolutional():
            return convolutional.steps(
                x,
                mask,
                filters=section.filters,
                kernel_size=section.kernel_size,
                dilations=section.dilations,
                causal=section.causal,
                residual=section.residual,
                layer_norm=section.layer_norm,
                dropout=section.dropout,
            )
        case Ntm():
            return ntm.steps(
                x,
                mask,
                controller=section.controller,
                units=section.units,
                memory=section.memory,
                read_heads=section.read_heads,
                write_heads=section.write_heads,
                shift=section.shift,
            )
        case Transformer():
            return transformer.steps(
                x,
                mask,
                units=section.units,
                heads=section.heads,
                layers=section.layers,
                feed_forward=section.feed_forward,
                causal=section.causal,
                dropout=section.dropout,
            )


def slow_on_gpu(section: AnyStepModel | EncoderDecoder) -> str:
    """Why recurrent layers do not run on cuDNN's kernel on a GPU; empty where they do, or there are none."""
    if isinstance(section, Ntm):
        return "the Neural Turing Machine has no cuDNN kernel"
    if isinstance(section, EncoderDecoder):
        return "the decoder goes step by step, which cuDNN has no kernel for"
    if not isinstance(section, Recurrent):
        return ""
    if section.cell == "simple":
        return "cell: simple has no cuDNN kernel (lstm and gru have)"
    if section.recurrent_dropout > 0:
        return "recurrent_dropout keeps the layers from cuDNN's kernel"
    return ""


def _recurrent(section: Recurrent, x: Any, mask: Any, *, last_only: bool, is_first: Any = None) -> Any:
    return recurrent.steps(
        x,
        mask,
        cell=section.cell,
        units=section.units,
        layers=section.layers,
        bidirectional=section.bidirectional,
        dropout=section.dropout,
        recurrent_dropout=section.recurrent_dropout,
        residual=section.residual,
        layer_norm=section.layer_norm,
        recurrent_initializer=section.recurrent_initializer,
        forget_bias=section.forget_bias,
        last_only=last_only,
        is_first=is_first,
    )
