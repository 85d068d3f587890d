"""Profiles: which steps are traced, and where the time of a trace went."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.report.profile import Profiler, read_trace, shares


def intervals(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("computing", "waiting", "expected"),
    [
        ([[]], [], (0.0, 0.0, 1.0)),
        ([[(0, 10)]], [], (1.0, 0.0, 0.0)),
        (
            [[(0, 4), (1, 2), (3, 5)]],
            [(4, 8)],
            (0.5, 0.3, 0.2),
        ),  # overlaps count once, and waiting beside computing not
        ([[(0, 10)], [(0, 2)]], [(2, 4)], (0.6, 0.1, 0.3)),  # the mean of two devices
        ([[(6, 9), (0, 8)]], [(8.5, 11)], (0.9, 0.1, 0.0)),  # a trace that is longer than the time
    ],
)
def test_shares_of_the_time(computing: Any, waiting: Any, expected: tuple[float, float, float]) -> None:
    found = shares(10.0, [intervals(*device) for device in computing], intervals(*waiting))
    assert found == pytest.approx(expected)


def trace(**planes: dict[str, list[tuple[str, float, float]]]) -> Any:
    """A trace with (name, start, seconds) of the events in each line of each plane."""
    made = []
    for plane, lines in planes.items():
        names = {name for events in lines.values() for name, _, _ in events}
        numbers = {name: number for number, name in enumerate(sorted(names))}
        made.append(
            SimpleNamespace(
                name={"cpu": "/host:CPU", "gpu": "/device:GPU:0"}[plane],
                event_metadata={number: SimpleNamespace(name=name) for name, number in numbers.items()},
                lines=[
                    SimpleNamespace(
                        name=line,
                        timestamp_ns=5e9,
                        events=[
                            SimpleNamespace(metadata_id=numbers[name], offset_ps=at * 1e12, duration_ps=length * 1e12)
                            for name, at, length in events
                        ],
                    )
                    for line, events in lines.items()
                ],
            )
        )
    return SimpleNamespace(planes=made)


CPU = {
    "tf_Compute/1": [
        ("ExecutorState::Process", 0, 9),
        ("body/Conv2D:_MklNativeConv2D", 1, 2),
        ("body/While:While", 0, 9),
    ],
    "tf_data_iterator_get_next/2": [("IteratorGetNextOp::DoCompute", 3, 1), ("Iterator::Root", 3, 1)],
    "tf_data_private_threadpool/3": [("map/Cast:Cast", 0, 9)],
}


def test_what_a_trace_says() -> None:
    computing, waiting = read_trace(trace(cpu=CPU))
    np.testing.assert_allclose(computing, [[[6, 8]]])
    np.testing.assert_allclose(waiting, [[8, 9]])
    computing, waiting = read_trace(
        trace(cpu=CPU, gpu={"Stream #1": [("kernel", 0, 4)], "Stream #2": [("copy", 3, 2)]})
    )
    np.testing.assert_allclose(computing, [[[5, 9], [8, 10]]])
    np.testing.assert_allclose(waiting, [[8, 9]])


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Starts and stops of traces, which are not recorded."""
    calls: list[str] = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda folder: calls.append("start"))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda save=True: calls.append(f"stop {save}"))
    return calls


def test_steps_after_the_first_call_are_traced(tmp_path: Path, traced: list[str]) -> None:
    lines: list[str] = []
    profiler = Profiler(tmp_path, 5, lines.append)
    for step in (1, 3, 7, 15):
        assert traced == (["start"] if 1 < step < 15 else [] if step == 1 else ["start", "stop True"])
        profiler.after_call(step, 100)
    profiler.after_epoch()
    profiler.close()
    assert traced == ["start", "stop True"]
    assert len(lines) == 1
    assert lines[0].startswith("profile of 6 steps: ")
    assert lines[0].endswith(f" ms per step. Trace: tensorboard --logdir {tmp_path}")


def test_an_epoch_of_one_call_is_traced_from_its_start(tmp_path: Path, traced: list[str]) -> None:
    lines: list[str] = []
    profiler = Profiler(tmp_path, 50, lines.append)
    profiler.after_call(4, 4)
    profiler.after_epoch()
    assert traced == ["start"]
    profiler.after_call(4, 4)
    assert lines[0].startswith("profile of 4 steps: ")


def test_training_that_ends_early_is_reported(tmp_path: Path, traced: list[str]) -> None:
    lines: list[str] = []
    profiler = Profiler(tmp_path, 50, lines.append)
    profiler.after_call(1, 4)
    profiler.close()
    assert traced == ["start", "stop False"]
    assert lines == ["profile: training ended before there were enough steps"]
