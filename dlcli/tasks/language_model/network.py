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
    recipe: LanguageModel, vocabulary: Vocabulary, *, start_tokens: Sequence[str], is_stateful: bool = True
) -> SequenceNetwork:
    """Build the network that predicts the next token at each position.

    Args:
        start_tokens: the classes of texts, each of which has a token of its own that precedes its texts; a single empty
            name if texts have no classes; none for one long text.
        is_stateful: whether the trained network of a stateful model carries its states from batch to batch, as training
            needs; False for the layer table.
    """
    section, tokens = recipe.model, recipe.text
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = token_ids(text, tokens, vocabulary, max_length=None)
    inputs: Any = text
    if len(start_tokens) > 1:
        inputs = {"text": text, "class": keras.Input(shape=(), dtype="string", name="class")}
    if start_tokens:
        ids = text_input.begun(
            ids, inputs["class"] if len(start_tokens) > 1 else None, start_tokens, first=vocabulary.size
        )
    else:
        ids = text_input.one_at_least(ids)
    num_ids = vocabulary.size + len(start_tokens)
    logits = _next_token(section, tokens, ids, num_ids=num_ids, num_tokens=vocabulary.size)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    model = keras.Model(inputs, probabilities, name=section.kind)
    trained = keras.Model(ids, logits, name=f"{section.kind}_logits")
    if not (is_stateful and isinstance(section, LanguageRecurrent) and section.stateful):
        return SequenceNetwork(model, trained)
    return SequenceNetwork(
        model,
        stateful_language_model(
            section, tokens, num_ids=num_ids, num_tokens=vocabulary.size, num_samples=recipe.train.batch_size
        ),
    )


def stateful_language_model(
    section: LanguageNetwork, tokens: LanguageTokens, *, num_ids: int, num_tokens: int, num_samples: int
) -> keras.Model:
    """Build the network on token ids that continues from the states in which the last batch ended.

    ``{ids: int32 [num_samples, steps], is_first: bool [num_samples]}`` -> logits ``[num_samples, steps, num_tokens]``.
    """
    ids = keras.Input(shape=(None,), batch_size=num_samples, dtype="int32", name="ids")
    is_first = keras.Input(shape=(), batch_size=num_samples, dtype="bool", name="is_first")
    logits = _next_token(section, tokens, ids, num_ids=num_ids, num_tokens=num_tokens, is_first=is_first)
    return keras.Model({"ids": ids, "is_first": is_first}, logits, name=f"{section.kind}_carried")


def _next_token(
    section: LanguageNetwork, tokens: LanguageTokens, ids: Any, *, num_ids: int, num_tokens: int, is_first: Any = None
) -> Any:
    """Logits of the next token at each position: ``[batch, steps]`` -> float32 ``[batch, steps, num_tokens]``."""
    if section.tie_embeddings:
        return _tied(section, tokens, ids, num_ids=num_ids, num_tokens=num_tokens, is_first=is_first)
    x = keras.layers.Embedding(num_ids, tokens.embedding, name="embedding")(ids)
    x = _outputs(section, x, ids, is_first)
    return keras.layers.Dense(num_tokens, dtype="float32", name="logits")(x)


def _tied(
    section: LanguageNetwork, tokens: LanguageTokens, ids: Any, *, num_ids: int, num_tokens: int, is_first: Any
) -> Any:
    """Logits by the embeddings themselves: ``E x``, of the tokens that can follow (Press and Wolf 2017, section 2).

    The embedding is called twice; ``token_ids`` and ``token_vectors`` are input and output of its first call.
    """
    embedding = keras.layers.ReversibleEmbedding(
        num_ids, tokens.embedding, tie_weights=True, reverse_dtype="float32", name="embedding"
    )
    ids = keras.layers.Identity(dtype="int32", name="token_ids")(ids)
    x = keras.layers.Identity(name="token_vectors")(embedding(ids))
    x = _outputs(section, x, ids, is_first)
    if x.shape[-1] != tokens.embedding:
        x = keras.layers.Dense(tokens.embedding, name="output_projection")(x)
    logits = embedding(x, reverse=True)[..., :num_tokens]  # start tokens never follow
    return keras.layers.Identity(dtype="float32", name="logits")(logits)


def _outputs(section: LanguageNetwork, x: Any, ids: Any, is_first: Any) -> Any:
    """The network's outputs for the embeddings of token ids, with dropout."""
    x = steps_of(section, x, keras.ops.not_equal(ids, text_input.PADDING), is_first=is_first)
    return heads.dense_layers(x, dense=(), dropout=section.dropout)
