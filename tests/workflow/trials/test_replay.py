"""A log is trained again in its order, whatever a method would choose."""

from typing import Any

from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.replay import Replay
from dlcli.workflow.trials.runner import Proposal


def record(trial: int, parent: int | None = None) -> Record:
    return Record(trial, parent, {"value": 10 * trial}, "complete", {}, {}, 1.0, 0, None)


class Other:
    """Proposes something else, and keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def ask(self, trial: int) -> Proposal:
        return Proposal({"value": "other"})

    def tell(self, record: Record) -> None:
        self.seen.append(record.trial)


def test_a_trial_waits_for_its_parent_and_the_last_one_is_the_end() -> None:
    inner = Other()
    replay = Replay(inner, [record(1), record(0), record(2, parent=1)])
    assert [replay.ask(trial) for trial in (0, 1)] == [Proposal({"value": 0}), Proposal({"value": 10})]
    assert replay.ask(2) is None
    replay.tell(record(0))
    assert replay.ask(2) is None
    replay.tell(record(1))
    assert replay.ask(2) == Proposal({"value": 20}, 1)
    assert replay.ask(3) is None
    assert inner.seen == [0, 1]


def test_the_method_proposes_what_the_log_lacks_before_its_last_trial() -> None:
    replay = Replay(Other(), [record(0), record(2)])
    asked: list[Any] = [replay.ask(trial) for trial in range(4)]
    assert asked == [Proposal({"value": 0}), Proposal({"value": "other"}), Proposal({"value": 20}), None]
    assert Replay(Other(), []).ask(0) is None
