"""From the recipe of a sequence task to a Keras model: what stands before the network, its steps, and the head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.vocabulary import Vocabulary
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import (
    convolutional,
    encoder_decoder,
    forecasting,
    ntm,
    recurrent,
    series_input,
    text_input,
    transformer,
)
from dlcli.models.sequences.pooling import Pooling, pooled
from dlcli.recipe.sections.sequence_model import AnyStepModel, Convolutional, Ntm, Recurrent, StepModel, Transformer
from dlcli.recipe.sections.text_data import Tokens
from dlcli.recipe.tasks.forecasting import Window
from dlcli.recipe.tasks.language_model import LanguageNetwork, LanguageTokens
from dlcli.recipe.tasks.sequence_to_sequence import EncoderDecoder, PairTokens
from dlcli.recipe.tasks.tagging import Words

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


def build_text_classifier(
    section: StepModel, tokens: Tokens, vocabulary: Vocabulary, *, num_classes: int
) -> SequenceNetwork:
    """The network that gives each text a class, under the current dtype policy and seed."""
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = _token_ids(text, tokens, vocabulary, max_length=tokens.max_length)
    ids = text_input.one_at_least(ids)
    x = keras.layers.Embedding(vocabulary.size, tokens.embedding, name="embedding")(ids)
    vector = _vector(section, x, keras.ops.not_equal(ids, text_input.PADDING))
    model = keras.Model(text, heads.classification(vector, num_classes=num_classes), name=section.kind)
    return SequenceNetwork(model, keras.Model(ids, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def _token_ids(text: Any, tokens: Tokens, vocabulary: Vocabulary, *, max_length: int | None) -> Any:
    """The numbers of raw texts' tokens, as :func:`dlcli.models.sequences.text_input.token_ids` has them."""
    return text_input.token_ids(
        text,
        unit=tokens.unit,
        standardize=tokens.final_standardize,
        forms=vocabulary.forms,
        token_of_form=vocabulary.token_of_form,
        max_length=max_length,
    )


def build_tagger(section: StepModel, words: Words, vocabulary: Vocabulary, *, num_classes: int) -> SequenceNetwork:
    """The network that gives each word of a sentence a class."""
    text = keras.Input(shape=(None,), dtype="string", name="text")
    ids = text_input.word_ids(
        text, forms=vocabulary.forms, token_of_form=vocabulary.token_of_form, max_length=words.max_length
    )
    ids = text_input.one_at_least(ids)
    x = keras.layers.Embedding(vocabulary.size, words.embedding, name="embedding")(ids)
    x = steps_of(section, x, keras.ops.not_equal(ids, text_input.PADDING))
    x = heads.dense_layers(x, dense=(), dropout=section.dropout)
    model = keras.Model(text, heads.classification_by_step(x, num_classes=num_classes), name=section.kind)
    return SequenceNetwork(model, keras.Model(ids, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def build_language_model(
    section: LanguageNetwork,
    tokens: LanguageTokens,
    vocabulary: Vocabulary,
    *,
    beginnings: Sequence[str],
    carried: int | None = None,
) -> SequenceNetwork:
    """The network that says what follows each token.

    Args:
        beginnings: names of the classes of texts, each of which has a token of its own that stands before a text; one
            without a name where there are no classes; none for parts of one long text.
        carried: samples of a batch, where the network that is trained goes on from the state in which the last batch
            ended.
    """
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = _token_ids(text, tokens, vocabulary, max_length=None)
    inputs: Any = text
    if len(beginnings) > 1:
        inputs = {"text": text, "class": keras.Input(shape=(), dtype="string", name="class")}
    if beginnings:
        ids = text_input.begun(ids, inputs["class"] if len(beginnings) > 1 else None, beginnings, first=vocabulary.size)
    else:
        ids = text_input.one_at_least(ids)
    num_ids = vocabulary.size + len(beginnings)
    logits = _next_token(section, tokens, ids, num_ids=num_ids, num_tokens=vocabulary.size)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    model = keras.Model(inputs, probabilities, name=section.kind)
    trained = keras.Model(ids, logits, name=f"{section.kind}_logits")
    if carried is None:
        return SequenceNetwork(model, trained)
    return SequenceNetwork(
        model,
        carried_language_model(section, tokens, num_ids=num_ids, num_tokens=vocabulary.size, num_samples=carried),
    )


def carried_language_model(
    section: LanguageNetwork, tokens: LanguageTokens, *, num_ids: int, num_tokens: int, num_samples: int
) -> keras.Model:
    """The network of numbers that goes on from the state in which the last batch ended.

    ``{ids: int32 [num_samples, steps], is_first: bool [num_samples]}`` -> logits ``[num_samples, steps, num_tokens]``.
    """
    ids = keras.Input(shape=(None,), batch_size=num_samples, dtype="int32", name="ids")
    is_first = keras.Input(shape=(), batch_size=num_samples, dtype="bool", name="is_first")
    logits = _next_token(section, tokens, ids, num_ids=num_ids, num_tokens=num_tokens, is_first=is_first)
    return keras.Model({"ids": ids, "is_first": is_first}, logits, name=f"{section.kind}_carried")


def _next_token(
    section: LanguageNetwork, tokens: LanguageTokens, ids: Any, *, num_ids: int, num_tokens: int, is_first: Any = None
) -> Any:
    """Logits of what follows each token: ``[batch, steps]`` -> float32 ``[batch, steps, num_tokens]``."""
    x = keras.layers.Embedding(num_ids, tokens.embedding, name="embedding")(ids)
    x = steps_of(section, x, keras.ops.not_equal(ids, text_input.PADDING), is_first=is_first)
    x = heads.dense_layers(x, dense=(), dropout=section.dropout)
    return keras.layers.Dense(num_tokens, dtype="float32", name="logits")(x)


def build_encoder_decoder(
    section: EncoderDecoder, tokens: PairTokens, given: Vocabulary, wanted: Vocabulary, *, guesses: bool
) -> SequenceNetwork:
    """The network that says a text for each text.

    The model gives the words or characters of each answer ``[batch, max_length]``, empty after its end; what is trained
    takes ``{given, before, forced}`` as :class:`dlcli.data.pairs.PairBatches` has them, and gives logits.

    Args:
        guesses: whether in training the decoder may have to go on from its own tokens.
    """
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = _token_ids(text, tokens, given, max_length=tokens.max_length)
    ids = text_input.one_at_least(ids)
    mask = keras.ops.not_equal(ids, text_input.PADDING)
    x = keras.layers.Embedding(given.size, tokens.embedding, name="embedding")(ids)
    memory = recurrent.steps(
        x,
        mask,
        cell=section.cell,
        units=section.units,
        layers=section.layers,
        bidirectional=section.bidirectional,
        dropout=section.dropout,
        recurrent_dropout=0.0,
        residual=False,
        layer_norm=False,
        recurrent_initializer=section.recurrent_initializer,
        forget_bias=section.forget_bias,
        last_only=False,
    )
    last = recurrent.summary(memory, mask, bidirectional=section.bidirectional)
    decoder = encoder_decoder.Decoder(
        dropout=section.dropout,
        options={
            "cell": section.cell,
            "units": section.units,
            "layers": section.layers,
            "embedding": tokens.embedding,
            "num_tokens": wanted.size,
            "attention": section.attention,
            "recurrent_initializer": section.recurrent_initializer,
            "forget_bias": section.forget_bias,
            "guesses": guesses,
        },
        name="decoder",
    )
    before = keras.Input(shape=(None,), dtype="int32", name="before")
    forced = keras.Input(shape=(None,), dtype="float32", name="forced")
    logits = decoder(memory, mask, last, before, forced)
    answers = encoder_decoder.Answers(decoder, max_length=tokens.max_length, name="answers")(memory, mask, last)
    spelled = keras.layers.StringLookup(
        vocabulary=list(wanted.tokens), mask_token="", oov_token="[UNK]", invert=True, name="spelled"
    )(answers)
    ids.name = "given"  # Keras tells several inputs by their names
    trained = keras.Model({"given": ids, "before": before, "forced": forced}, logits, name=f"{section.kind}_logits")
    return SequenceNetwork(keras.Model(text, spelled, name=section.kind), trained)


def build_step_predictor(section: AnyStepModel, *, num_features: int, num_bits: int) -> SequenceNetwork:
    """The network that gives bits at each step, of numbers that are taken as they are."""
    scale = Scale(np.zeros(num_features), np.ones(num_features))
    values = keras.Input(shape=(None, num_features), dtype="float32", name="values")
    x, mask = series_input.standardised(values, mean=scale.mean, variance=scale.variance)
    x = heads.dense_layers(steps_of(section, x, mask), dense=(), dropout=section.dropout)
    logits = keras.layers.Dense(num_bits, dtype="float32", name="logits")(x)
    probabilities = keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")(logits)
    model = keras.Model(values, probabilities, name=section.kind)
    return SequenceNetwork(model, keras.Model(values, logits, name=f"{section.kind}_logits"))


def build_series_classifier(section: StepModel, scale: Scale, *, num_classes: int) -> SequenceNetwork:
    """The network that gives each sequence of numbers a class."""
    values, vector = _series(section, scale)
    model = keras.Model(values, heads.classification(vector, num_classes=num_classes), name=section.kind)
    return SequenceNetwork(model, keras.Model(values, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def build_series_regressor(section: StepModel, scale: Scale) -> SequenceNetwork:
    """The network that gives each sequence of numbers a number."""
    values, vector = _series(section, scale)
    value = heads.regression(vector, mean=scale.target_mean, deviation=scale.target_variance**0.5)
    model = keras.Model(values, value, name=section.kind)
    return SequenceNetwork(model, model)


def build_forecaster(section: StepModel, scale: Scale, window: Window) -> SequenceNetwork:
    """The network that forecasts the first feature, of a history of known length."""
    values = keras.Input(shape=(window.history, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardised(values, mean=scale.mean, variance=scale.variance)
    start = forecasting.base(
        values[..., 0],
        horizon=window.horizon,
        season=window.season,
        difference=window.difference,
        mean=float(scale.mean[0]),
    )
    answer = forecasting.forecast(
        _vector(section, x, mask),
        start,
        horizon=window.horizon,
        mean=scale.target_mean,
        deviation=scale.target_variance**0.5,
    )
    model = keras.Model(values, answer, name=section.kind)
    return SequenceNetwork(model, model)


def _series(section: StepModel, scale: Scale) -> tuple[Any, Any]:
    values = keras.Input(shape=(None, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardised(values, mean=scale.mean, variance=scale.variance)
    return values, _vector(section, x, mask)


def _vector(section: StepModel, x: Any, mask: Any) -> Any:
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
        is_first: for recurrent layers that go on from the last batch, as in :func:`dlcli.models.sequences.recurrent.steps`.
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
                feed_forward=section.feed_forward or 4 * section.units,
                causal=section.causal,
                dropout=section.dropout,
            )


def slow_on_gpu(section: AnyStepModel | EncoderDecoder) -> str | None:
    """Why recurrent layers do not get cuDNN's kernel on a GPU, in words; None where they do, or there are none."""
    if isinstance(section, Ntm):
        return "the Neural Turing Machine has no cuDNN kernel"
    if isinstance(section, EncoderDecoder):
        return "the decoder goes step by step, which cuDNN has no kernel for"
    if not isinstance(section, Recurrent):
        return None
    if section.cell == "simple":
        return "cell: simple has no cuDNN kernel (lstm and gru have)"
    if section.recurrent_dropout > 0:
        return "recurrent_dropout keeps the layers from cuDNN's kernel"
    return None


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
