"""The loop as one of several processes, the others being simulated: the chief alone writes, and all stop together."""

import signal
from pathlib import Path
from typing import Any

import pytest
from small_problem import LoopMaker  # type: ignore[import-not-found]

from dlcli.errors import Interrupted
from dlcli.training import loop
from dlcli.training.team import Alone


class Two:
    """This process and another one, which exchanges the same values but for a signal that it received."""

    def __init__(self, *, is_chief: bool, stopped_at: int = 0) -> None:
        self.is_chief = is_chief
        self._stopped_at = stopped_at
        self.num_exchanges = 0

    def exchange(self, value: Any) -> list[Any]:
        self.num_exchanges += 1
        signals = signal.SIGTERM if self.num_exchanges == self._stopped_at else None
        other = [100.0, signals, False] if isinstance(value, list) else signals
        return [value, other] if self.is_chief else [other, value]


def test_alone() -> None:
    assert Alone().exchange([1]) == [[1]]
    assert Alone().is_chief


@pytest.mark.usefixtures("uncompiled")
def test_a_worker_writes_nothing(make_loop: LoopMaker, tmp_path: Path) -> None:
    worker = make_loop("worker", team=Two(is_chief=False), checkpoint_steps=1)
    worker.train()
    assert worker.state.epoch == 3
    assert list((tmp_path / "worker").iterdir()) == []


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("is_chief", [True, False])
def test_a_signal_of_another_process_stops_with_a_checkpoint(
    make_loop: LoopMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_chief: bool,
) -> None:
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)
    stopped = make_loop("stopped", team=Two(is_chief=is_chief, stopped_at=2))
    with pytest.raises(Interrupted) as caught:
        stopped.train()
    assert caught.value.signal_number == signal.SIGTERM
    assert stopped.state.step == 2
    assert (tmp_path / "stopped" / "checkpoints" / "0000-00000002").exists() is is_chief


@pytest.mark.usefixtures("uncompiled")
def test_the_slowest_process_decides_how_many_steps_a_call_has(make_loop: LoopMaker) -> None:
    team = Two(is_chief=True)  # the other one takes 100 seconds a call
    slow = make_loop("slow", team=team, stages=(("train", 1, 1e-2),))
    slow.train()
    # after each of 3 calls of one step, after the 2 of validation, and at the end of the epoch
    assert team.num_exchanges == 6
