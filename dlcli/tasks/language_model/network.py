"""Builds the network of a language-model recipe."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.data.text.vocabulary import Vocabulary
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import text_input
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageNetwork, LanguageRecurrent, LanguageTokens
from dlcli.tasks.sequences.encoders import SequenceNetwork, steps_of, token_ids


def build_language_model(
    recipe: LanguageModel, vocabulary: Vocabulary, *, beginnings: Sequence[str], is_carried: bool = True
) -> SequenceNetwork:
    """The network that says what follows each token.

    Args:
        beginnings: names of the classes of texts, each of which has a token of its own that stands before a text; one
            without a name where there are no classes; none for parts of one long text.
        is_carried: where the recipe's model is stateful, the network that is trained carries its states from batch to
            batch, as training wants it; False for its layer table.
    """
    section, tokens = recipe.model, recipe.text
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = token_ids(text, tokens, vocabulary, max_length=None)
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
    if not (is_carried and isinstance(section, LanguageRecurrent) and section.stateful):
        return SequenceNetwork(model, trained)
    return SequenceNetwork(
        model,
        carried_language_model(
            section, tokens, num_ids=num_ids, num_tokens=vocabulary.size, num_samples=recipe.train.batch_size
        ),
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
