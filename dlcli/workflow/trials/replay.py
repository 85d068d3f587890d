"""Trains the trials of a log again, in place of those that a method would choose now."""

from collections.abc import Sequence

from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.runner import Proposal, Proposer


class Replay:
    """Proposes the trials of a log.

    With several workers, what a method proposes depends on the order in which they end. The log says what it proposed,
    so that each trial can be trained again, whatever the order is now.

    Args:
        proposer: that of the search or sweep, which receives all trials. It proposes only trials that the log lacks
            before its last one, such as one that was running when a process was killed.
        records: of the log.
    """

    def __init__(self, proposer: Proposer, records: Sequence[Record]) -> None:
        self._proposer = proposer
        self._records = {record.trial: record for record in records}
        self._last = max(self._records, default=-1)
        self._ended: set[int] = set()

    def ask(self, trial: int) -> Proposal | None:
        """The trial of this number; None if its parent is running, or after the last one."""
        record = self._records.get(trial)
        if record is None:
            return self._proposer.ask(trial) if trial < self._last else None
        if record.parent is not None and record.parent not in self._ended:
            return None
        return Proposal(record.choices, record.parent)

    def tell(self, record: Record) -> None:
        """A trial has ended."""
        self._ended.add(record.trial)
        self._proposer.tell(record)
