"""The Neural Turing Machine (Graves et al. 2014): a controller that reads and writes a memory by attention."""

from typing import Any, Literal

import keras
import numpy as np

from dlcli.models.sequences.pooling import masked

Tensor = Any  # a keras tensor

FIRST_MEMORY = 1e-6  # initial value of the memory (Collier and Beel 2018, section 4.1: constant initialization)
CLIP = 20.0  # bound on the parameters of heads, which the controller emits
TINY = 1e-8  # avoids division by 0 and the logarithm of 0


def steps(
    x: Tensor,
    mask: Tensor,
    *,
    controller: Literal["lstm", "dense"],
    units: int,
    memory: tuple[int, int],
    read_heads: int,
    write_heads: int,
    shift: int,
) -> Tensor:
    """A Neural Turing Machine over the steps of sequences.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        controller: recurrent, or feedforward, with only the step and the previous read vectors as inputs.
        units: number of units of the controller.
        memory: number of rows and their size: N and M of the paper.
        read_heads, write_heads: numbers of heads.
        shift: largest shift of an address in one step, forward and backward; at least 1.

    Returns:
        ``[batch, steps, units + read_heads * M]``: the controller's outputs and the read vectors.
    """
    # the cosine similarity of small vectors needs full precision
    dtype = "float32" if keras.config.dtype_policy().name.startswith("mixed") else None
    cell = NtmCell(
        controller=controller,
        units=units,
        rows=memory[0],
        width=memory[1],
        read_heads=read_heads,
        write_heads=write_heads,
        shift=shift,
        dtype=dtype,
        name="ntm_cell",
    )
    # no mask, which would have to hold the state at each padded step: only padding follows a sequence
    return masked(keras.layers.RNN(cell, return_sequences=True, dtype=dtype, name="ntm")(x), mask)


@keras.saving.register_keras_serializable(package="dlcli")
class NtmCell(keras.layers.Layer):  # type: ignore[misc]
    """One step of the machine: the controller, then reading, then writing.

    With the memory ``M`` of N rows, the address ``w`` of a head is a distribution over the rows. The controller emits,
    for each head, a key k, a key strength b > 0, an interpolation gate g in (0, 1), a distribution s of shifts and a
    sharpening exponent y >= 1, from which the address is

        content    c(i) = exp(b K(k, M(i))) / sum_j exp(b K(k, M(j))),  K the cosine         (equations 5 and 6)
        gated      d = g c + (1 - g) w_before                                                (7)
        shifted    e(i) = sum_j d(j) s(i - j), circular                                      (8)
        sharpened  w(i) = e(i)^y / sum_j e(j)^y                                              (9)

    A read head returns ``r = sum_i w(i) M(i)`` (2); a write head, with an erase vector v in (0, 1) and an add vector a,
    updates each row to ``M(i) (1 - w(i) v) + w(i) a`` (3 and 4). Reading comes before writing.

    The cell's state is a list: the memory ``[batch, N, M]``; the read vectors ``[batch, read_heads * M]``; the
    addresses of all heads ``[batch, heads, N]``, read heads first; and the state of the controller.

    Numerical stability: the memory is initialized to a small constant, so that the cosine's denominator is never 0; the
    parameters of heads are clipped; exponents are at least 1.
    """

    def __init__(
        self,
        *,
        controller: Literal["lstm", "dense"],
        units: int,
        rows: int,
        width: int,
        read_heads: int,
        write_heads: int,
        shift: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.controller, self.units, self.rows, self.width = controller, units, rows, width
        self.read_heads, self.write_heads, self.shift = read_heads, write_heads, shift
        self.num_heads = read_heads + write_heads
        self.num_shifts = 2 * shift + 1
        self.output_size = units + read_heads * width
        own = [units, units] if controller == "lstm" else []
        self.state_size = [(rows, width), read_heads * width, (self.num_heads, rows), *own]
        self.inner: Any = (
            keras.layers.LSTMCell(units, dtype=self.dtype_policy, name="controller")
            if controller == "lstm"
            else keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy, name="controller")
        )
        # each head: key, strength, gate, shifts, exponent; write heads also an erase and an add vector
        self.num_address = width + 1 + 1 + self.num_shifts + 1
        num_outputs = self.num_heads * self.num_address + 2 * write_heads * width
        self.to_heads = keras.layers.Dense(num_outputs, dtype=self.dtype_policy, name="to_heads")

    def build(self, input_shape: Any) -> None:
        self.inner.build((input_shape[0], input_shape[-1] + self.read_heads * self.width))
        self.to_heads.build((input_shape[0], self.units))
        small = keras.initializers.RandomNormal(stddev=0.1)
        self.first_read = self.add_weight(shape=(self.read_heads * self.width,), initializer=small, name="first_read")
        self.first_address = self.add_weight(shape=(self.num_heads, self.rows), initializer=small, name="first_address")
        super().build(input_shape)

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """The initial state: a constant memory, and learned addresses and read vectors."""
        ops = keras.ops
        memory = ops.full((batch_size, self.rows, self.width), FIRST_MEMORY, dtype=self.compute_dtype)
        read = ops.tanh(ops.convert_to_tensor(self.first_read))
        address = ops.softmax(ops.convert_to_tensor(self.first_address), axis=-1)
        state = [
            memory,
            ops.cast(ops.broadcast_to(read, (batch_size, self.read_heads * self.width)), self.compute_dtype),
            ops.cast(ops.broadcast_to(address, (batch_size, self.num_heads, self.rows)), self.compute_dtype),
        ]
        if self.controller == "lstm":
            state += [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(2)]
        return state

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        ops = keras.ops
        memory, read, before, *own = states
        x = ops.concatenate([inputs, read], axis=-1)
        if self.controller == "lstm":
            hidden, own = self.inner(x, own)
        else:
            hidden = self.inner(x)
        # tensors are split rather than sliced: the gradient of a slice is padded to the whole tensor
        emitted = ops.clip(self.to_heads(hidden), -CLIP, CLIP)
        parameters, changes = ops.split(emitted, [self.num_heads * self.num_address], axis=-1)
        parameters = ops.reshape(parameters, (-1, self.num_heads, self.num_address))
        address = self.address(parameters, memory, before)  # [batch, heads, rows]
        of_read, of_write = ops.split(address, [self.read_heads], axis=1)
        read = ops.matmul(of_read, memory)  # [batch, read heads, width]
        read = ops.reshape(read, (-1, self.read_heads * self.width))
        changes = ops.reshape(changes, (-1, self.write_heads, 2, self.width))
        memory = self.write(memory, of_write, changes)
        return ops.concatenate([hidden, read], axis=-1), [memory, read, address, *own]

    def address(self, parameters: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """The addresses of all heads.

        Args:
            parameters: what the controller emits for each head ``[batch, heads, parameters]``.
            memory: ``[batch, rows, width]``.
            before: the addresses of the previous step ``[batch, heads, rows]``.

        Returns:
            ``[batch, heads, rows]``, each a distribution.
        """
        ops = keras.ops
        ends = np.cumsum([self.width, 1, 1, self.num_shifts]).tolist()
        key, strength, gate, shift, exponent = ops.split(parameters, ends, axis=-1)
        key, strength, gate = ops.tanh(key), ops.softplus(strength), ops.sigmoid(gate)
        shift, exponent = ops.softmax(shift, axis=-1), 1.0 + ops.softplus(exponent)
        products = ops.matmul(key, ops.swapaxes(memory, 1, 2))  # [batch, heads, rows]
        lengths = _length(key)[..., None] * _length(memory)[:, None]
        content = ops.softmax(strength * products / (lengths + TINY), axis=-1)
        gated = before + gate * (content - before)
        rolled = [ops.roll(gated, i - self.shift, axis=-1) for i in range(self.num_shifts)]
        shifted = ops.sum(shift[..., None] * ops.stack(rolled, axis=2), axis=2)
        return ops.softmax(exponent * ops.log(shifted + TINY), axis=-1)  # powers, divided by their sum

    def write(self, memory: Tensor, address: Tensor, changes: Tensor) -> Tensor:
        """The memory after all write heads, applied in order.

        Args:
            memory: ``[batch, rows, width]``.
            address: addresses of the write heads ``[batch, heads, rows]``.
            changes: erase and add vector of each ``[batch, heads, 2, width]``, before their sigmoid and tanh.
        """
        ops = keras.ops
        erase, add = ops.split(changes, 2, axis=2)  # [batch, heads, 1, width]
        of_heads = zip(
            ops.unstack(address[..., None], axis=1),  # [batch, rows, 1]
            ops.unstack(ops.sigmoid(erase), axis=1),  # [batch, 1, width]
            ops.unstack(ops.tanh(add), axis=1),
            strict=True,
        )
        for where, erased, added in of_heads:
            memory = memory - where * (memory * erased - added)  # equations 3 and 4
        return memory

    def get_config(self) -> dict[str, Any]:
        names = ("controller", "units", "rows", "width", "read_heads", "write_heads", "shift")
        config: dict[str, Any] = {**super().get_config(), **{name: getattr(self, name) for name in names}}
        return config


def _length(vectors: Tensor) -> Tensor:
    """Euclidean norm of the last axis, with a finite gradient at 0."""
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(vectors), axis=-1) + TINY**2)
