"""Builds the encoder-decoder of a recipe."""

import keras

from dlcli.models.sequences import encoder_decoder, recurrent, text_input
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.tasks.sequence_to_sequence.sources import Vocabularies, teacher_forcing
from dlcli.tasks.sequences.encoders import SequenceNetwork, token_ids


def build_encoder_decoder(recipe: SequenceToSequence, vocabularies: Vocabularies) -> SequenceNetwork:
    """Build the network that generates a target text for each source text, under the current dtype policy and seed.

    The model outputs the words or characters of each target text, ``[batch, max_length]``, empty after its end. The
    trained network takes ``{given, before, forced}`` from :class:`dlcli.data.text.pair_batches.PairBatches` and outputs
    logits.
    """
    section, tokens = recipe.model, recipe.text
    source, target = vocabularies.source, vocabularies.target
    text = keras.Input(shape=(), dtype="string", name="text")
    ids = token_ids(text, tokens, source, max_length=tokens.max_length)
    ids = text_input.one_at_least(ids)
    mask = keras.ops.not_equal(ids, text_input.PADDING)
    x = keras.layers.Embedding(source.size, tokens.embedding, name="embedding")(ids)
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
        decay=0.0,  # of leaky units, which decoders do not have
        learn_decay=False,
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
            "num_tokens": target.size,
            "attention": section.attention,
            "recurrent_initializer": section.recurrent_initializer,
            "forget_bias": section.forget_bias,
            # without full teacher forcing, training continues from its own predictions
            "guesses": teacher_forcing(recipe.train) is not None,
        },
        name="decoder",
    )
    before = keras.Input(shape=(None,), dtype="int32", name="before")
    forced = keras.Input(shape=(None,), dtype="float32", name="forced")
    logits = decoder(memory, mask, last, before, forced)
    target_ids = encoder_decoder.Answers(decoder, max_length=tokens.max_length, name="answers")(memory, mask, last)
    spelled = keras.layers.StringLookup(
        vocabulary=list(target.tokens), mask_token="", oov_token="[UNK]", invert=True, name="spelled"
    )(target_ids)
    ids.name = "given"  # Keras distinguishes several inputs by their names
    trained = keras.Model({"given": ids, "before": before, "forced": forced}, logits, name=f"{section.kind}_logits")
    return SequenceNetwork(keras.Model(text, spelled, name=section.kind), trained)
