"""Encoder and decoder (Sutskever et al. 2014) with attention (Bahdanau et al. 2015; Luong et al. 2015).

The encoder's recurrent layers compute an output for each input token; the decoder's generate the output sequence token
by token, each from the previous one. With ``h(j)`` the encoder's outputs and ``s(i)`` the state of the decoder's last
layer, the attention of step i is a distribution ``a(j)`` over the input tokens, and ``c = sum_j a(j) h(j)`` is the
context vector.

Bahdanau (equations 5 and 6): ``a = softmax_j v . tanh(W s(i-1) + U h(j))``. The first layer takes the embedding and c,
and the next token is predicted from s(i) and c (the paper has a maxout layer there, which takes the embedding too).

Luong, "general" score (sections 3.1 and 3.3): ``a = softmax_j s(i) . W h(j)``. The next token is predicted from
``t(i) = tanh(Wc [c, s(i)])``, which the first layer takes together with the next embedding ("input feeding").

Without attention the next token is predicted from s(i), and the decoder knows the input only through its initial state.
"""

from typing import Any, Literal

import keras

from dlcli.models.sequences.pooling import FAR_BELOW

Tensor = Any  # a keras tensor
Attention = Literal["none", "bahdanau", "luong"]
Cell = Literal["simple", "lstm", "gru"]

CELLS = {"simple": keras.layers.SimpleRNNCell, "lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell}
END, UNKNOWN = 0, 1  # ids of the end token, and of the unknown token, which is never generated
PACKAGE = "dlcli"


@keras.saving.register_keras_serializable(package=PACKAGE)
class DecoderCell(keras.layers.Layer):  # type: ignore[misc]
    """One step of the decoder: from the previous token to the vector from which the next one is predicted.

    Its states are those of the layers, then ``t`` (luong) and, with ``guesses``, the embedding of the token predicted
    last.

    Args:
        cell, units, layers: kind, units and number of the recurrent layers.
        embedding: size of the token embeddings.
        num_tokens: number of output tokens; 0 is the end, 1 is unknown. Id ``num_tokens`` is the start token.
        attention: kind of attention to the encoder's outputs.
        recurrent_initializer, forget_bias: as in :func:`dlcli.models.sequences.recurrent.steps`.
        guesses: keep the embedding of the most probable token as a state, for training without teacher forcing.
    """

    def __init__(
        self,
        *,
        cell: Cell,
        units: int,
        layers: int,
        embedding: int,
        num_tokens: int,
        attention: Attention,
        recurrent_initializer: Literal["orthogonal", "glorot_uniform"],
        forget_bias: bool,
        guesses: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind, self.units, self.num_layers, self.width = cell, units, layers, embedding
        self.num_tokens, self.attention, self.guesses = num_tokens, attention, guesses
        self.recurrent_initializer, self.forget_bias = recurrent_initializer, forget_bias
        self.embedding = keras.layers.Embedding(num_tokens + 1, embedding, name="embedding")
        options: dict[str, Any] = {"recurrent_initializer": recurrent_initializer}
        if cell == "lstm":
            options["unit_forget_bias"] = forget_bias
        self.cells = [CELLS[cell](units, name=f"{cell}{number}", **options) for number in range(1, layers + 1)]
        self.logits = keras.layers.Dense(num_tokens, dtype="float32", name="logits")
        if attention == "bahdanau":
            self.query = keras.layers.Dense(units, use_bias=False, name="attention_query")
            self.key = keras.layers.Dense(units, name="attention_key")
            self.score = keras.layers.Dense(1, use_bias=False, name="attention_score")
        elif attention == "luong":
            self.key = keras.layers.Dense(units, use_bias=False, name="attention_key")
            self.joint = keras.layers.Dense(units, activation="tanh", use_bias=False, name="attention_output")
        self.states_a_layer = 2 if cell == "lstm" else 1
        self.state_size = [units] * (layers * self.states_a_layer)
        self.state_size += [units] if attention == "luong" else []
        self.state_size += [embedding] if guesses else []
        self.output_size = 2 * units if attention == "bahdanau" else units

    def build_parts(self, memory_width: int) -> None:
        """Creates the weights, given the width of the encoder's outputs."""
        read = {"none": 0, "bahdanau": memory_width, "luong": self.units}[self.attention]
        self.embedding.build((None, None))
        for number, cell in enumerate(self.cells):
            cell.build((None, self.width + read if number == 0 else self.units))
        self.logits.build((None, memory_width + self.units if self.attention == "bahdanau" else self.units))
        if self.attention != "none":
            self.key.build((None, None, memory_width))
        if self.attention == "bahdanau":
            self.query.build((None, self.units))
            self.score.build((None, None, self.units))
            self.output_size = memory_width + self.units
        elif self.attention == "luong":
            self.joint.build((None, memory_width + self.units))
        self.built = True

    def keys(self, memory: Tensor) -> Tensor:
        """The keys of attention, computed from the encoder's outputs: ``[batch, steps, units]``."""
        return memory if self.attention == "none" else self.key(memory)

    def attend_to(self, memory: Tensor, mask: Tensor, keys: Tensor) -> None:
        """Sets what the next steps attend to: the encoder's outputs ``[batch, steps, width]``, where the mask is true.

        They are the same at every step, and are not part of the state, which a loop would copy.
        """
        self._memory = (memory, mask, keys)

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """One step.

        Args:
            inputs: the embedding of the previous token, and 1 to use it or 0 to use the decoder's own prediction,
                ``[batch, embedding + 1]``.
            states: all states of the cell.
        """
        ops = keras.ops
        x = inputs[:, : self.width]
        if self.guesses:
            x = ops.where(inputs[:, self.width :] > 0.5, x, states[-1])
        vector, states, _ = self.step(x, states[:-1] if self.guesses else states)
        if self.guesses:
            # no gradient flows through the choice of a token
            states = [*states, ops.stop_gradient(self.embedding(ops.argmax(self.logits(vector), axis=-1)))]
        return vector, [ops.cast(state, self.compute_dtype) for state in states]

    def step(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """The vector from which the next token is predicted, the new states, and the attention ``[batch, steps]``.

        Args:
            x: embedding of the previous token, ``[batch, embedding]``.
            states: all states but that of ``guesses``.
        """
        ops = keras.ops
        memory, mask, keys = self._memory
        own, weights = list(states), None
        if self.attention == "bahdanau":
            last = own[-self.states_a_layer]
            scores = self.score(ops.tanh(self.query(last)[:, None] + keys))[..., 0]
            read, weights = _read(scores, memory, mask)
            x = ops.concatenate([x, ops.cast(read, x.dtype)], axis=-1)
        elif self.attention == "luong":
            x = ops.concatenate([x, own.pop()], axis=-1)
        new: list[Tensor] = []
        for number, cell in enumerate(self.cells):
            part = own[number * self.states_a_layer : (number + 1) * self.states_a_layer]
            x, part = cell(x, part)
            new += part if isinstance(part, list | tuple) else [part]
        if self.attention == "bahdanau":
            return ops.concatenate([x, ops.cast(read, x.dtype)], axis=-1), new, weights
        if self.attention == "luong":
            scores = ops.sum(x[:, None] * keys, axis=-1)
            read, weights = _read(scores, memory, mask)
            x = self.joint(ops.concatenate([ops.cast(read, x.dtype), x], axis=-1))
            new.append(x)
        return x, new, weights

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            **super().get_config(),
            "cell": self.kind,
            "units": self.units,
            "layers": self.num_layers,
            "embedding": self.width,
            "num_tokens": self.num_tokens,
            "attention": self.attention,
            "recurrent_initializer": self.recurrent_initializer,
            "forget_bias": self.forget_bias,
            "guesses": self.guesses,
        }
        return config


def _read(scores: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the memory's steps weighted by the softmax of scores ``[batch, steps]``, and that softmax."""
    ops = keras.ops
    scores = ops.cast(scores, "float32")
    weights = ops.softmax(ops.where(mask, scores, ops.full_like(scores, FAR_BELOW)), axis=-1)
    return ops.sum(ops.cast(weights, memory.dtype)[..., None] * memory, axis=1), weights


@keras.saving.register_keras_serializable(package=PACKAGE)
class Decoder(keras.layers.Layer):  # type: ignore[misc]
    """The decoder in training: each step takes the true previous token, or the decoder's own prediction if so asked.

    Args:
        dropout: dropout rate of the embeddings and of the vectors from which tokens are predicted.
        options: arguments of the cell, see :class:`DecoderCell`.
    """

    def __init__(self, *, dropout: float, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout, self.options = dropout, dict(options)
        self.cell = DecoderCell(name="cell", **options)
        num_states = self.cell.num_layers * self.cell.states_a_layer
        # the output of a cell lies in [-1, 1]; the cell state of an LSTM does not
        self.bridges = [
            keras.layers.Dense(
                self.cell.units,
                activation="tanh" if number % self.cell.states_a_layer == 0 else None,
                name=f"first_state{number + 1}",
            )
            for number in range(num_states)
        ]
        self.rnn = keras.layers.RNN(self.cell, return_sequences=True, name="steps")
        self.drop_inputs = keras.layers.Dropout(dropout, name="input_dropout")
        self.drop_outputs = keras.layers.Dropout(dropout, name="output_dropout")

    def build(
        self,
        memory_shape: Any,
        is_there_shape: Any,
        last_shape: Any,
        before_shape: Any = None,
        forced_shape: Any = None,
    ) -> None:
        self.cell.build_parts(memory_shape[-1])
        for bridge in self.bridges:
            bridge.build(last_shape)
        self.rnn.built = True
        self.built = True

    def first_states(self, last: Tensor) -> list[Tensor]:
        """The initial states but that of ``guesses``, from the encoder's final state ``[batch, width]``."""
        states = [bridge(last) for bridge in self.bridges]
        if self.cell.attention == "luong":
            states.append(keras.ops.zeros_like(states[0]))
        return states

    def call(
        self, memory: Tensor, is_there: Tensor, last: Tensor, before: Tensor, forced: Tensor, training: bool = False
    ) -> Tensor:
        """Logits of each output token.

        Args:
            memory: the encoder's outputs ``[batch, steps, width]``.
            is_there: bool ``[batch, steps]``, true up to each sequence's end (Keras reserves the name ``mask``).
            last: the encoder's final state, ``[batch, width]``.
            before: the token before each output token, int32 ``[batch, outputs]``.
            forced: float32 ``[batch, outputs]``: 1 for teacher forcing with ``before``, 0 for the decoder's own
                prediction.

        Returns:
            float32 ``[batch, outputs, num_tokens]``.
        """
        ops = keras.ops
        self.cell.attend_to(memory, is_there, self.cell.keys(memory))
        x = self.drop_inputs(self.cell.embedding(before), training=training)
        states = self.first_states(last)
        if self.cell.guesses:
            states.append(ops.zeros_like(x[:, 0]))
        inputs = ops.concatenate([x, ops.cast(forced, x.dtype)[..., None]], axis=-1)
        vectors = self.rnn(inputs, initial_state=states, training=training)
        return self.cell.logits(self.drop_outputs(vectors, training=training))

    def compute_output_spec(
        self, memory: Any, is_there: Any, last: Any, before: Any, forced: Any, training: bool = False
    ) -> Any:
        return keras.KerasTensor((*before.shape, self.cell.num_tokens), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {**super().get_config(), "dropout": self.dropout, "options": self.options}
        return config


@keras.saving.register_keras_serializable(package=PACKAGE)
class Answers(keras.layers.Layer):  # type: ignore[misc]
    """Greedy decoding: each step takes the most probable token of the previous one.

    Args:
        decoder: the decoder, whose weights it shares.
        max_length: maximum number of output tokens.
    """

    def __init__(self, decoder: Any, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        is_saved = isinstance(decoder, dict)
        self.decoder = keras.saving.deserialize_keras_object(decoder) if is_saved else decoder
        self.max_length = max_length

    def build(self, memory_shape: Any, is_there_shape: Any, last_shape: Any) -> None:
        if not self.decoder.built:
            self.decoder.build(memory_shape, is_there_shape, last_shape)
        self.built = True

    def call(self, memory: Tensor, is_there: Tensor, last: Tensor) -> Tensor:
        """Token ids, int32 ``[batch, max_length]``, 0 from the end of each output on; arguments as in `Decoder`."""
        ops, cell = keras.ops, self.decoder.cell
        cell.attend_to(memory, is_there, cell.keys(memory))
        states = self.decoder.first_states(last)
        zeros = ops.zeros_like(ops.cast(is_there[:, 0], "int32"))
        ids = ops.repeat(zeros[:, None], self.max_length, axis=1)
        positions = ops.arange(self.max_length)

        def is_unfinished(step: Tensor, unfinished: Tensor, *_: Tensor) -> Tensor:
            return ops.logical_and(step < self.max_length, ops.any(unfinished))

        def generate(step: Tensor, unfinished: Tensor, before: Tensor, ids: Tensor, *states: Tensor) -> Any:
            vector, new, _ = cell.step(cell.embedding(before), list(states))
            logits = ops.where(ops.equal(ops.arange(cell.num_tokens), UNKNOWN), FAR_BELOW, cell.logits(vector))
            token = ops.cast(ops.argmax(logits, axis=-1), "int32")
            token = ops.where(unfinished, token, ops.full_like(token, END))
            ids = ops.where(ops.equal(positions, step)[None, :], token[:, None], ids)
            unfinished = ops.logical_and(unfinished, ops.not_equal(token, END))
            return (step + 1, unfinished, token, ids, *(ops.cast(s, o.dtype) for s, o in zip(new, states, strict=True)))

        start = (ops.convert_to_tensor(0), ops.equal(zeros, 0), zeros + cell.num_tokens, ids, *states)
        return ops.while_loop(is_unfinished, generate, start)[3]

    def compute_output_spec(self, memory: Any, is_there: Any, last: Any) -> Any:
        return keras.KerasTensor((memory.shape[0], self.max_length), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            **super().get_config(),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "max_length": self.max_length,
        }
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Answers":
        return cls(**config)
