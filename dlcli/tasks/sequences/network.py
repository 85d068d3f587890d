"""Builds the Keras model of a sequence task: tokenization or standardization, the encoder, and the head."""

from typing import Any

import keras

from dlcli.data.text.vocabulary import FIRST, Vocabulary
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import text_input, word_characters
from dlcli.models.sequences.cells import OWN_OUTPUT, ClassFeedbackCell
from dlcli.models.sequences.crf import tags_of_sentences
from dlcli.recipe.load import SequenceRecipe, TextRecipe
from dlcli.recipe.sections.sequence_model import Recurrent, SeriesModel
from dlcli.recipe.sections.text_data import ClassifiedTokens
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging, TaggingNetwork, Words, is_fed_back
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.tasks.sequences.encoders import (
    STANDARD,
    Moments,
    Scale,
    SequenceNetwork,
    series_vector,
    steps_of,
    token_ids,
    windowed_vector,
)

Front = Vocabulary | Scale
"""What is fitted on the training split and used at the network's input."""


def build_network(
    recipe: SequenceRecipe, front: Front, num_classes: int, target: Moments = STANDARD
) -> SequenceNetwork:
    """Build the network of a recipe, under the current dtype policy and seed.

    Args:
        target: of the numbers to predict for texts; those of series are in ``front``.
    """
    match recipe, front:
        case TextClassification() | TextMultilabel() | TextRegression(), Vocabulary():
            return build_text_network(recipe, front, num_outputs=num_classes, target=target)
        case Tagging(), Vocabulary():
            return build_tagger(recipe.model, recipe.text, front, num_classes=num_classes)
        case SequenceClassification(), Scale():
            return build_series_classifier(recipe.model, front, num_classes=num_classes)
        case SequenceRegression(), Scale():
            return build_series_regressor(recipe.model, front)
    raise AssertionError(f"a task without a network: {recipe.task}")


def build_text_network(
    recipe: TextRecipe, vocabulary: Vocabulary, *, num_outputs: int, target: Moments
) -> SequenceNetwork:
    """Build the network that predicts a class, labels or a number for each text."""
    section, tokens = recipe.model, recipe.text
    text = keras.Input(shape=(), dtype="string", name="text")
    inputs = text_steps(text, tokens, vocabulary)
    ids, x = _vectors(inputs, tokens, vocabulary)
    vector = windowed_vector(section, x, keras.ops.not_equal(ids, text_input.PADDING), tokens.windows)
    if isinstance(recipe, TextRegression):
        value = heads.regression(vector, mean=target.mean, deviation=target.variance**0.5)
        return SequenceNetwork(
            keras.Model(text, value, name=section.kind), keras.Model(inputs, value, name=f"{section.kind}_value")
        )
    if isinstance(recipe, TextMultilabel):
        probabilities = heads.labels(vector, num_labels=num_outputs)
    else:
        probabilities = heads.classification(vector, num_classes=num_outputs)
    model = keras.Model(text, probabilities, name=section.kind)
    return SequenceNetwork(model, keras.Model(inputs, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def build_tagger(section: TaggingNetwork, words: Words, vocabulary: Vocabulary, *, num_classes: int) -> SequenceNetwork:
    """Build the network that predicts a tag for each word of a sentence."""
    text = keras.Input(shape=(None,), dtype="string", name="text")
    inputs = text_input.word_ids(
        text, forms=vocabulary.forms, token_of_form=vocabulary.token_of_form, max_length=words.max_length
    )
    inputs = text_input.one_at_least(inputs)
    if words.characters is not None:
        inputs = _with_characters(text, inputs, words, vocabulary)
    ids, x = _vectors(inputs, words, vocabulary)
    mask = keras.ops.not_equal(ids, text_input.PADDING)
    if is_fed_back(section):
        assert isinstance(section, Recurrent)
        return _fed_back_tagger(section, text, inputs, x, num_classes=num_classes)
    x = steps_of(section, x, mask)
    x = heads.dense_layers(x, dense=(), dropout=section.dropout)
    if section.crf:
        outputs, of_training = tags_of_sentences(x, mask, num_tags=num_classes)
        return SequenceNetwork(
            keras.Model(text, outputs, name=section.kind), keras.Model(inputs, of_training, name=f"{section.kind}_crf")
        )
    model = keras.Model(text, heads.classification_by_step(x, num_classes=num_classes), name=section.kind)
    return SequenceNetwork(model, keras.Model(inputs, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def _fed_back_tagger(section: Recurrent, text: Any, inputs: Any, x: Any, *, num_classes: int) -> SequenceNetwork:
    """The Jordan network of the vectors of words ``x``, whose tags are fed back; in training the true ones."""
    cell = ClassFeedbackCell(
        section.units, num_classes=num_classes, recurrent_initializer=section.recurrent_initializer, name="cell"
    )
    # classes are exact in float32
    layer = keras.layers.RNN(cell, return_sequences=True, dtype="float32", name="jordan1")
    if section.dropout > 0:
        x = keras.layers.SpatialDropout1D(section.dropout, name="input_dropout")(x)  # the same for all steps
    x = keras.ops.cast(x, "float32")

    def logits(before: Any, name: str) -> Any:
        column = keras.ops.cast(before, "float32")[..., None]
        outputs = layer(keras.ops.concatenate([x, column], axis=-1))
        return keras.layers.Activation("linear", dtype="float32", name=name)(outputs)

    before = keras.Input(shape=(None,), dtype="int32", name="before")
    own = keras.ops.full_like(x[..., 0], OWN_OUTPUT)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits(own, "logits"))
    inputs.name = "words"  # Keras distinguishes several inputs by their names
    trained = keras.Model(
        {"words": inputs, "before": before}, logits(before, "forced_logits"), name=f"{section.kind}_logits"
    )
    return SequenceNetwork(keras.Model(text, probabilities, name=section.kind), trained)


def text_steps(text: Any, tokens: ClassifiedTokens, vocabulary: Vocabulary) -> Any:
    """The steps of raw texts: token ids int32 ``[batch, steps]``, or each with those of the characters of its word,
    ``[batch, steps, 1 + characters]``."""
    ids = text_input.one_at_least(token_ids(text, tokens, vocabulary, max_length=tokens.max_length))
    if tokens.characters is None:
        return ids
    of_characters = word_characters.characters_of_texts(
        text,
        ids,
        standardize=tokens.final_standardize,
        characters=vocabulary.characters,
        max_length=tokens.characters.max_length,
    )
    return keras.ops.concatenate([ids[..., None], of_characters], axis=-1)


def _vectors(inputs: Any, section: ClassifiedTokens | Words, vocabulary: Vocabulary) -> tuple[Any, Any]:
    """The token ids of steps ``[batch, steps]``, and their vectors ``[batch, steps, width]``."""
    if section.characters is None:
        return inputs, _embedded(inputs, section, vocabulary)
    ids = inputs[..., 0]
    of_characters = word_characters.features(
        inputs[..., 1:],
        num_ids=FIRST + len(vocabulary.characters),
        embedding=section.characters.embedding,
        filters=section.characters.filters,
        kernel_size=section.characters.kernel_size,
    )
    x = keras.layers.Concatenate(name="token_vectors")([_embedded(ids, section, vocabulary), of_characters])
    return ids, x


def _embedded(ids: Any, section: ClassifiedTokens | Words, vocabulary: Vocabulary) -> Any:
    """The embeddings of token ids, from pretrained vectors if the vocabulary has some."""
    is_trained = section.pretrained is None or section.pretrained_trainable
    layer = keras.layers.Embedding(vocabulary.size, section.embedding, trainable=is_trained, name="embedding")
    x = layer(ids)
    if vocabulary.vectors is not None:
        layer.embeddings.assign(vocabulary.vectors.table)
    return x


def _with_characters(text: Any, ids: Any, words: Words, vocabulary: Vocabulary) -> Any:
    """The ids of words ``[batch, steps]``, each with those of its characters: ``[batch, steps, 1 + characters]``."""
    assert words.characters is not None
    of_characters = word_characters.character_ids(
        text[:, : words.max_length], characters=vocabulary.characters, max_length=words.characters.max_length
    )
    of_characters = keras.ops.pad(of_characters, [[0, 0], [0, 1], [0, 0]])  # as `one_at_least` does
    return keras.ops.concatenate([ids[..., None], of_characters], axis=-1)


def build_series_classifier(section: SeriesModel, scale: Scale, *, num_classes: int) -> SequenceNetwork:
    """Build the network that predicts a class for each series."""
    values, vector = series_vector(section, scale)
    model = keras.Model(values, heads.classification(vector, num_classes=num_classes), name=section.kind)
    return SequenceNetwork(model, keras.Model(values, model.get_layer("logits").output, name=f"{section.kind}_logits"))


def build_series_regressor(section: SeriesModel, scale: Scale) -> SequenceNetwork:
    """Build the network that predicts a number for each series."""
    values, vector = series_vector(section, scale)
    value = heads.regression(vector, mean=scale.target_mean, deviation=scale.target_variance**0.5)
    model = keras.Model(values, value, name=section.kind)
    return SequenceNetwork(model, model)
