"""Explains a Neural Turing Machine: what it reads and writes, on the test sequences of a synthetic problem."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.synthetic.copy_tasks import MadeDataset
from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.ntm import Lag, MemoryTrace, best_lag, trace_memory
from dlcli.report.plots.memory import memory_plot
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import digest_of
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_SEQUENCES = 16  # of each length


def explain_memory(
    run: RunDir, best: BestModel, dataset: MadeDataset, request: ExplanationRequest, console: Console
) -> Explained:
    """Addresses and memory over time, and after how many steps rows are read again, for each test length.

    Raises:
        InputError: the network is not a Neural Turing Machine, or the request names other samples.
    """
    if request.paths or request.split is not None:
        given = "--split" if request.split is not None else str(request.paths[0])
        raise InputError(f"{given}: {run.path} is explained by its generated test sequences alone. Remove it.")
    rows, first = [], None
    for number, (length, times) in enumerate(dataset.test):
        x, bits, is_target = dataset.test_part(length, times)
        x, bits, is_target = (part[: request.limit or NUM_SEQUENCES] for part in (x, bits, is_target))
        try:
            trace = trace_memory(best.model, x)
        except NotExplainable as reason:
            raise InputError(f"{best.file}: {reason} Use --gradient-norms if it is recurrent.") from None
        predicted = np.asarray(best.model(x, training=False))
        exact = (((predicted > 0.5) != (bits > 0.5)) * is_target[..., None]).sum(axis=(1, 2)) == 0
        lag = best_lag(trace, num_written=length)
        rows.append(_row(lag, length, times, exact))
        first = first or (length, x, predicted, trace)
        console.evaluating(number + 1, len(dataset.test))
    assert first is not None
    length, x, predicted, trace = first
    console.say(f"run {run.path}: what it reads and writes, by {len(x)} sequences of each of {len(rows)} lengths")
    return Explained(
        name="memory",
        rows=rows,
        files={"memory.npz": _writer(x, predicted, trace), "maps.png": _plot(length, x, predicted, trace)},
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": "test",
            "samples": len(rows) * len(x),
            "digest": digest_of([dataset.fingerprint()]),
            "settings": {"methods": ["memory"]},
        },
        tables={"rows of the memory, read again some steps after they were written": rows},
    )


def _row(lag: Lag, length: int, times: int, exact: NDArray[np.bool_]) -> dict[str, Any]:
    """A row of explanations.csv."""
    return {
        "length": length,
        "times": times,
        "sequences": len(exact),
        "exact": float(exact.mean()),
        "lag": lag.lag,
        "same_rows": f"{lag.same_rows.mean():.4g} of {length}",
        "agreement": lag.agreement,
        "at_other_lags": lag.of_others,
        "read_head": lag.read_head,
        "write_head": lag.write_head,
    }


def _plot(length: int, x: NDArray[np.float32], predicted: NDArray[Any], trace: MemoryTrace) -> bytes:
    """The first sequence: input, addresses of every head, the sizes of the memory's rows, and the output."""
    parts = {"input": (x[0].T, "bit")}
    for name, addresses in (("written", trace.writes[0]), ("read", trace.reads[0])):
        for head in range(addresses.shape[1]):
            which = f", head {head + 1}" if addresses.shape[1] > 1 else ""
            parts[f"rows that are {name}{which}"] = (addresses[:, head].T, "row")
    parts["memory: length of each row"] = (np.linalg.norm(trace.memory[0], axis=-1).T, "row")
    parts["output"] = (predicted[0].T, "bit")
    return memory_plot(parts, boundary=length)


def _writer(x: NDArray[np.float32], predicted: NDArray[Any], trace: MemoryTrace) -> Callable[[Path], None]:
    """Writes the first sequence with the memory at each step, and the addresses in all sequences of that length."""
    arrays = {"inputs": x, "outputs": predicted, "reads": trace.reads, "writes": trace.writes}
    return lambda path: np.savez(path, allow_pickle=False, **arrays, memory=trace.memory[:1])
