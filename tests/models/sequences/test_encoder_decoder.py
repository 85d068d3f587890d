"""Encoder and decoder against their equations in NumPy, step by step; what comes after an end; its own way."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.sequences import encoder_decoder, recurrent

BATCH, GIVEN, SAID, UNITS, WIDTH, TOKENS = 3, 6, 4, 5, 4, 7
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, 9, (BATCH, GIVEN)).astype(np.int32)
IDS[0, 3:], IDS[1, 5:] = 0, 0
BEFORE = np.array([[TOKENS, 3, 4, 5], [TOKENS, 2, 2, 6], [TOKENS, 5, 3, 2]], np.int32)
ATTENTIONS = ["none", "bahdanau", "luong"]


def build(attention: str, *, cell: str = "lstm", layers: int = 2, guesses: bool = False) -> tuple[Any, Any, Any]:
    """The encoder (numbers -> memory, mask, last), the network in training, and the one that answers."""
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32")
    mask = keras.ops.not_equal(ids, 0)
    x = keras.layers.Embedding(9, WIDTH)(ids)
    memory = recurrent.steps(
        x,
        mask,
        cell=cell,  # type: ignore[arg-type]
        units=UNITS,
        layers=1,
        bidirectional=True,
        dropout=0.0,
        recurrent_dropout=0.0,
        residual=False,
        layer_norm=False,
        recurrent_initializer="orthogonal",
        forget_bias=True,
        decay=0.95,
        learn_decay=False,
        last_only=False,
    )
    last = recurrent.summary(memory, mask, bidirectional=True)
    options = {
        "cell": cell,
        "units": UNITS,
        "layers": layers,
        "embedding": WIDTH,
        "num_tokens": TOKENS,
        "attention": attention,
        "recurrent_initializer": "orthogonal",
        "forget_bias": True,
        "guesses": guesses,
    }
    decoder = encoder_decoder.Decoder(dropout=0.0, options=options, name="decoder")
    before, forced = keras.Input((None,), dtype="int32"), keras.Input((None,))
    logits = decoder(memory, mask, last, before, forced)
    answers = encoder_decoder.Answers(decoder, max_length=6, name="answers")(memory, mask, last)
    trained = keras.Model([ids, before, forced], logits)
    trained.set_weights([RNG.normal(size=weight.shape, scale=0.7) for weight in trained.get_weights()])
    return keras.Model(ids, [memory, mask, last]), trained, keras.Model(ids, answers)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def lstm(cell: Any, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kernel, recurrent_kernel, bias = (np.asarray(w) for w in cell.get_weights())
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def transcribed(decoder: Any, memory: np.ndarray, last: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Logits of one answer by the equations of the module's text; ``memory`` without what comes after the end."""
    cell = decoder.cell
    table = np.asarray(cell.embedding.get_weights()[0])
    states = [np.asarray(last @ b.get_weights()[0] + b.get_weights()[1]) for b in decoder.bridges]
    states = [np.tanh(s) if i % 2 == 0 else s for i, s in enumerate(states)]
    fed, logits = np.zeros(UNITS), []
    weights, bias = cell.logits.get_weights()
    for token in before:
        x = table[token]
        if cell.attention == "bahdanau":
            query, (key, key_bias), score = (
                cell.query.get_weights()[0],
                cell.key.get_weights(),
                cell.score.get_weights(),
            )
            energy = np.tanh(states[-2] @ query + memory @ key + key_bias) @ score[0][:, 0]
            context = softmax(energy) @ memory
            x = np.concatenate([x, context])
        elif cell.attention == "luong":
            x = np.concatenate([x, fed])
        for number, own in enumerate(cell.cells):
            x, states[2 * number + 1] = lstm(own, x, states[2 * number], states[2 * number + 1])
            states[2 * number] = x
        if cell.attention == "bahdanau":
            x = np.concatenate([x, context])
        elif cell.attention == "luong":
            context = softmax((memory @ cell.key.get_weights()[0]) @ x) @ memory
            x = fed = np.tanh(np.concatenate([context, x]) @ cell.joint.get_weights()[0])
        logits.append(x @ weights + bias)
    return np.stack(logits)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_decoder_is_its_equations(attention: str) -> None:
    encoder, trained, _ = build(attention)
    found = np.asarray(trained([IDS, BEFORE, np.ones(BEFORE.shape, np.float32)]))
    memory, _, last = (np.asarray(x) for x in encoder(IDS))
    for row in range(BATCH):
        own = memory[row, : (IDS[row] > 0).sum()].astype(np.float64)
        expected = transcribed(trained.get_layer("decoder"), own, last[row], BEFORE[row])
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_padding_of_the_inputs_changes_nothing(attention: str, cell: str) -> None:
    _, trained, answers = build(attention, cell=cell, layers=1)
    longer = np.concatenate([IDS, np.zeros((BATCH, 3), np.int32)], axis=1)
    forced = np.ones(BEFORE.shape, np.float32)
    expected = np.asarray(trained([IDS, BEFORE, forced]))
    np.testing.assert_allclose(np.asarray(trained([longer, BEFORE, forced])), expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(answers(longer)), np.asarray(answers(IDS)))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_weight_has_a_gradient(attention: str) -> None:
    import tensorflow as tf

    _, trained, _ = build(attention, guesses=True)
    forced = np.array([[1, 0, 1, 0]] * BATCH, np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(trained([IDS, BEFORE, forced], training=True)))
    gradients = tape.gradient(loss, [variable.value for variable in trained.trainable_variables])
    for variable, gradient in zip(trained.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(np.asarray(tf.convert_to_tensor(gradient))).max() > 0, variable.path


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_without_teacher_forcing_it_continues_from_its_own_predictions(attention: str) -> None:
    _, trained, answers = build(attention, guesses=True)
    nothing = np.full((BATCH, 6), TOKENS, np.int32)
    forced = np.zeros((BATCH, 6), np.float32)
    forced[:, 0] = 1  # where every answer begins
    alone = np.asarray(trained([IDS, nothing, forced])).argmax(axis=-1)
    told = np.concatenate([nothing[:, :1], alone[:, :-1]], axis=1).astype(np.int32)
    again = np.asarray(trained([IDS, told, np.ones_like(forced)])).argmax(axis=-1)
    np.testing.assert_array_equal(alone, again)
    for row, said in zip(alone, np.asarray(answers(IDS)), strict=True):
        length = next((i for i, token in enumerate(row) if token in (0, 1)), len(row))  # it never says 1
        np.testing.assert_array_equal(said[:length], row[:length])
        assert 1 not in said


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("guesses", [False, True])
def test_a_saved_decoder_gives_the_same_outputs(attention: str, guesses: bool, tmp_path: Path) -> None:
    _, _, answers = build(attention, guesses=guesses)
    answers.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(again(IDS)), np.asarray(answers(IDS)))


def test_an_output_ends_with_its_end_token() -> None:
    _, trained, answers = build("luong", layers=1)
    decoder = trained.get_layer("decoder")
    weights, bias = decoder.cell.logits.get_weights()
    bias[:] = 0
    bias[0] = 1000.0
    decoder.cell.logits.set_weights([weights, bias])
    assert not np.asarray(answers(IDS)).any()
    bias[0], bias[3] = -1000.0, 1000.0
    decoder.cell.logits.set_weights([weights, bias])
    np.testing.assert_array_equal(np.asarray(answers(IDS)), np.full((BATCH, 6), 3))


@pytest.mark.parametrize("name", ["DecoderCell", "Decoder", "Answers"])
def test_names_in_saved_models_stay(name: str) -> None:
    assert keras.saving.get_registered_object(f"dlcli>{name}") is getattr(encoder_decoder, name)
