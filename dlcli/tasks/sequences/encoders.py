"""Builds the encoder of a sequence network: from raw text or series to a vector per step or per sequence."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.text.vocabulary import Vocabulary
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import (
    convolutional,
    inception_time,
    ntm,
    recurrent,
    series_convnets,
    series_input,
    text_input,
    transformer,
)
from dlcli.models.sequences import windows as text_windows
from dlcli.models.sequences.pooling import Pooling, pooled
from dlcli.recipe.sections.sequence_model import (
    AnyStepModel,
    Convolutional,
    InceptionTime,
    Ntm,
    Recurrent,
    SeriesFcn,
    SeriesModel,
    SeriesResNet,
    Transformer,
)
from dlcli.recipe.sections.text_data import TextWindows, Tokens
from dlcli.recipe.tasks.sequence_to_sequence import EncoderDecoder

OWN_CELLS = {"leaky": "LeakyCell", "jordan": "JordanCell"}
DEFAULT_POOLING: dict[str, Pooling] = {"recurrent": "last", "convolutional": "max"}  # of others the mean


@dataclass(frozen=True)
class SequenceNetwork:
    """A sequence network as two models that share their layers.

    Attributes:
        model: raw values (text, numbers) -> final predictions (probabilities, numbers).
        trained: the inputs of training -> logits or numbers. For text the inputs are token ids, int32 ``[b, steps]``,
            padded with 0; for series the values themselves.
    """

    model: keras.Model
    trained: keras.Model


@dataclass(frozen=True)
class Moments:
    """Mean and variance of the numbers to predict in the training split."""

    mean: float
    variance: float


STANDARD = Moments(0.0, 1.0)


@dataclass(frozen=True)
class Scale:
    """Mean and variance of each feature in the training split, ``[features]``, and of the numbers to predict."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    target_mean: float = 0.0
    target_variance: float = 1.0


def token_ids(text: Any, tokens: Tokens, vocabulary: Vocabulary, *, max_length: int | None) -> Any:
    """The token ids of raw texts, int32 ``[batch, tokens]``, padded with 0; `max_length` None for all of them."""
    if tokens.unit == "subwords":
        alphabet = vocabulary.alphabet or vocabulary
        return text_input.subword_ids(
            text,
            standardize=tokens.final_standardize,
            forms=alphabet.forms,
            token_of_form=alphabet.token_of_form,
            tokens=vocabulary.tokens,
            num_characters=len(alphabet.tokens),
            merges=vocabulary.merges,
            scores=vocabulary.scores,
            max_length=max_length,
        )
    return text_input.token_ids(
        text,
        unit=tokens.unit,
        standardize=tokens.final_standardize,
        forms=vocabulary.forms,
        token_of_form=vocabulary.token_of_form,
        max_length=max_length,
    )


def series_vector(section: SeriesModel, scale: Scale) -> tuple[Any, Any]:
    """The input for series, ``[batch, steps, features]``, and one vector for each, ``[batch, units]``."""
    values = keras.Input(shape=(None, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    return values, pooled_vector(section, x, mask)


def windowed_vector(section: SeriesModel, x: Any, mask: Any, windows: TextWindows | None) -> Any:
    """One vector for each sequence, as :func:`pooled_vector`; of several windows, if they are given."""
    if windows is None:
        return pooled_vector(section, x, mask)
    sizes = {"length": windows.length, "stride": windows.final_stride}
    steps, is_step, index = text_windows.windows(x, mask, **sizes)
    vectors = pooled_vector(section, steps, is_step)
    return text_windows.pooled_windows(vectors, index, mask, **sizes, pool=windows.pool)


def pooled_vector(section: SeriesModel, x: Any, mask: Any) -> Any:
    """One vector for each sequence, ``[batch, units]``, with dropout before the head."""
    pooling = section.pooling or DEFAULT_POOLING.get(section.kind, "mean")
    if isinstance(section, Recurrent) and pooling == "last":
        vector = _recurrent(section, x, mask, last_only=True)
    else:
        vector = pooled(steps_of(section, x, mask), mask, pooling=pooling)
    return heads.dense_layers(vector, dense=(), dropout=section.dropout)


def steps_of(section: AnyStepModel | SeriesModel, x: Any, mask: Any, *, is_first: Any = None) -> Any:
    """The outputs of each step: ``[batch, steps, features]`` -> ``[batch, steps, units]``.

    Args:
        is_first: for stateful recurrent layers, as in :func:`dlcli.models.sequences.recurrent.steps`.
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
        case InceptionTime():
            return inception_time.steps(
                x,
                mask,
                filters=section.filters,
                kernel_sizes=section.kernel_sizes,
                bottleneck=section.bottleneck,
                modules=section.modules,
                residual=section.residual,
            )
        case SeriesFcn():
            return series_convnets.fcn_steps(x, mask, filters=section.filters)
        case SeriesResNet():
            return series_convnets.resnet_steps(x, mask, filters=section.filters)
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


def own_layers(section: object) -> list[str]:
    """The names of dlcli's own layers in an encoder."""
    if isinstance(section, Ntm):
        return ["NtmCell"]
    return [OWN_CELLS[section.cell]] if isinstance(section, Recurrent) and section.cell in OWN_CELLS else []


def slow_on_gpu(section: AnyStepModel | SeriesModel | EncoderDecoder) -> str:
    """Why recurrent layers cannot use the cuDNN kernel on a GPU; empty if they can, or if there are none."""
    if isinstance(section, Ntm):
        return "the Neural Turing Machine has no cuDNN kernel"
    if isinstance(section, EncoderDecoder):
        return "the decoder runs step by step, for which cuDNN has no kernel"
    if not isinstance(section, Recurrent):
        return ""
    if section.cell not in ("lstm", "gru"):
        return f"cell: {section.cell} has no cuDNN kernel (lstm and gru do)"
    if section.recurrent_dropout > 0:
        return "recurrent_dropout disables the cuDNN kernel"
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
        decay=section.decay,
        learn_decay=section.learn_decay,
        last_only=last_only,
        is_first=is_first,
    )
