"""The records of trials, and the log that holds them: a JSON object in each line, appended and flushed to disk.

The log is the state of a search or sweep: what a method knows is what was recorded, in that order.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, read_file
from dlcli.printing import json_text
from dlcli.rundir.writing import append_line

MAX_LOG_BYTES = 2**30

Status = Literal["complete", "failed", "refused"]
"""A trial was trained; its training failed, crashed or took too long; or it exceeds a limit and was not trained."""


@dataclass(frozen=True)
class Record:
    """What became of one trial.

    Attributes:
        trial: its number, from 0.
        parent: the trial that it was derived from; None without one.
        choices: what was tried, as plain JSON values.
        status: see `Status`.
        metrics: of its best epoch, such as ``val_accuracy``; empty unless it is complete.
        cost: ``parameters`` and ``multiply_adds``; empty if the network could not be built.
        seconds: of training, with building the network.
        seed: of its training.
        error: why it failed or was refused; None if it is complete.
    """

    trial: int
    parent: int | None
    choices: Mapping[str, Any]
    status: Status
    metrics: Mapping[str, float]
    cost: Mapping[str, float]
    seconds: float
    seed: int
    error: str | None


class TrialLog:
    """An append-only file of records.

    Args:
        path: of the file.
        mistake: says what is wrong with a record that a search or sweep cannot have written; None if nothing is.
    """

    def __init__(self, path: Path, mistake: Callable[[Record], str | None] = lambda record: None) -> None:
        self.path = path
        self._mistake = mistake

    def at(self, path: Path) -> "TrialLog":
        """A log of the same kind at another path."""
        return TrialLog(path, self._mistake)

    def append(self, record: Record) -> None:
        """Append a record, flushed to disk when this returns."""
        append_line(self.path, json_text(asdict(record), indent=None, allow_nan=False))

    def read(self) -> list[Record]:
        """The records in the order of the log, without an incomplete last line that a killed process left.

        Raises:
            InputError: a line is not a record, a trial occurs twice or before its parent, or a record has a mistake.
        """
        try:
            text = read_file(self.path, MAX_LOG_BYTES)
        except NoFile:
            return []
        except BadFile as reason:
            raise InputError(f"{self.path}: {reason}. Restore it from a copy.") from None
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        records = [_record(line, f"{self.path}:{number}") for number, line in enumerate(lines, start=1)]
        seen: set[int] = set()
        for number, record in enumerate(records, start=1):
            if record.trial in seen:
                raise _corrupt(f"{self.path}:{number}", f"trial {record.trial} occurs twice")
            if record.parent is not None and record.parent not in seen:
                raise _corrupt(f"{self.path}:{number}", f"trial {record.parent}, its parent, is not in an earlier line")
            if (mistake := self._mistake(record)) is not None:
                raise _corrupt(f"{self.path}:{number}", mistake)
            seen.add(record.trial)
        return records


KINDS: Mapping[str, tuple[type, ...]] = {
    "trial": (int,),
    "parent": (int, type(None)),
    "choices": (dict,),
    "status": (str,),
    "metrics": (dict,),
    "cost": (dict,),
    "seconds": (int, float),
    "seed": (int,),
    "error": (str, type(None)),
}


def _record(line: bytes, place: str) -> Record:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise _corrupt(place, "the line is not valid JSON") from None
    if not isinstance(values, dict) or set(values) != {field.name for field in fields(Record)}:
        raise _corrupt(place, f"the line must have the keys {', '.join(KINDS)}")
    for key, kinds in KINDS.items():
        if not isinstance(values[key], kinds) or isinstance(values[key], bool):
            raise _corrupt(place, f"'{key}' has the wrong type")
    if values["status"] not in ("complete", "failed", "refused"):
        raise _corrupt(place, "'status' must be complete, failed or refused")
    for numbers in (values["metrics"], values["cost"]):
        if not all(_is_finite(value) for value in numbers.values()):
            raise _corrupt(place, "metrics and costs must be finite numbers")
    if values["trial"] < 0 or not _is_finite(values["seconds"]) or values["seconds"] < 0:
        raise _corrupt(place, "'trial' and 'seconds' must not be negative")
    return Record(**values)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _corrupt(place: str, reason: str) -> InputError:
    return InputError(f"{place}: is corrupt: {reason}. Restore it from a copy.")
