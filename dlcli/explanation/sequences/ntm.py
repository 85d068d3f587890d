"""What a Neural Turing Machine reads and writes: its addresses and memory at each step (Graves et al. 2014)."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.network import NotExplainable

LAYER = "ntm"


@dataclass(frozen=True)
class MemoryTrace:
    """What happened in the memory, for sequences of one length.

    Attributes:
        reads: addresses of the read heads ``[b, steps, heads, rows]``, distributions over the rows.
        writes: of the write heads.
        memory: after each step's writing ``[b, steps, rows, width]``.
    """

    reads: NDArray[np.float32]
    writes: NDArray[np.float32]
    memory: NDArray[np.float32]


@dataclass(frozen=True)
class Lag:
    """How many steps after they were written rows are read again.

    Attributes:
        lag: at which the addresses agree best.
        read_head, write_head: of these addresses, counted from 1.
        agreement: mean product of the two addresses over the written steps; 1 where both are sharp and equal.
        of_others: the mean of the agreements at the other lags, for comparison.
        same_rows: of the written steps, how many whose row is the one that is read ``lag`` steps later, ``[b]``.
    """

    lag: int
    read_head: int
    write_head: int
    agreement: float
    of_others: float
    same_rows: NDArray[np.int64]


def trace_memory(model: keras.Model, x: NDArray[np.float32]) -> MemoryTrace:
    """Run a machine step by step.

    Args:
        model: with the recurrent layer ``ntm``.
        x: raw inputs ``[b, steps, features]``.

    Raises:
        NotExplainable: it is not a Neural Turing Machine; the message is written to follow "FILE: ".
    """
    if LAYER not in {layer.name for layer in model.layers}:
        raise NotExplainable("has no memory that is read and written: it is not a Neural Turing Machine.")
    layer = model.get_layer(LAYER)
    symbolic = keras.tree.flatten(layer.input)[0]  # which the mask follows
    inputs = keras.Model(model.input, symbolic)(x, training=False)
    cell = layer.cell
    states: list[Any] = cell.get_initial_state(batch_size=len(x))
    addresses, memory = [], []
    for step in range(x.shape[1]):
        _, states = cell(inputs[:, step], states, training=False)
        memory.append(np.asarray(states[0]))
        addresses.append(np.asarray(states[2]))
    of_heads = np.stack(addresses, axis=1)
    return MemoryTrace(of_heads[:, :, : cell.read_heads], of_heads[:, :, cell.read_heads :], np.stack(memory, axis=1))


def best_lag(trace: MemoryTrace, *, num_written: int) -> Lag:
    """The lag at which a read head's addresses agree best with those of a write head in the first steps.

    Args:
        num_written: steps from the start whose writing is looked for: those in which the input is shown.
    """
    steps = trace.reads.shape[1]
    best: Lag | None = None
    for write_head in range(trace.writes.shape[2]):
        writes = trace.writes[:, :num_written, write_head].astype(np.float64)
        for read_head in range(trace.reads.shape[2]):
            reads = trace.reads[:, :, read_head].astype(np.float64)
            lags = range(1, steps - num_written + 1)
            found = [float((writes * reads[:, lag : lag + num_written]).sum(axis=-1).mean()) for lag in lags]
            position = int(np.argmax(found))
            if best is None or found[position] > best.agreement:
                later = reads[:, position + 1 : position + 1 + num_written]
                same = (writes.argmax(axis=-1) == later.argmax(axis=-1)).sum(axis=1)
                others = [value for i, value in enumerate(found) if i != position]
                mean = float(np.mean(others)) if others else float("nan")
                best = Lag(position + 1, read_head + 1, write_head + 1, found[position], mean, same)
    assert best is not None
    return best
