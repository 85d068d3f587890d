"""The errors that the user sees as lines on stderr and an exit status, never as a traceback; the signals that stop."""

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path
    from sys import UnraisableHookArgs

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that stop a command in an orderly way: Ctrl-C, a scheduler, a terminal that is closed."""


class InputError(Exception):
    """Bad input: a recipe, file, option or run that the user can fix.

    The message is shown to the user: one line per error, with the file (and line) and the remedy. Exit status 2.
    """


class SmallInput(InputError):
    """The samples are smaller than a network needs them."""


class CheckFailed(Exception):
    """A check failed: the loss is not finite, or a check has findings. Exit status 1."""


class Terminated(BaseException):
    """Raised on SIGTERM and SIGHUP, as KeyboardInterrupt is on Ctrl-C; the training loop installs its own handlers.

    ``signal_number`` is 15 (SIGTERM) or 1 (SIGHUP); the exit status is 128 + ``signal_number``.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


class Interrupted(Exception):
    """Training was stopped by a signal, after a checkpoint was saved.

    ``signal_number`` is 2 (Ctrl-C), 15 (SIGTERM) or 1 (SIGHUP); the exit status is 128 + ``signal_number``. ``folder``
    is that of the run, search or sweep that can be resumed, if there is one.
    """

    def __init__(self, message: str, signal_number: int, folder: "Path | None" = None) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.folder = folder


_received: list[int] = []  # the stop signals that raise_stop has raised, first one first


def raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a stop signal: record it, then raise KeyboardInterrupt (Ctrl-C) or Terminated.

    Whatever runs at that moment may lose the exception: C code turns it into an error of its own, and a library that
    tries one import after another takes it for a failed try. So that such a stop is not lost, nor taken for an error,
    see ``received_stop`` and ``raise_lost_stop``.
    """
    _received.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)


def received_stop() -> int | None:
    """The number of the first stop signal that ``raise_stop`` handled, or None."""
    return _received[0] if _received else None


def raise_lost_stop() -> None:
    """Raise the stop that ``raise_stop`` raised and a library swallowed; do nothing where there was none.

    A program that is asked to stop and still works has lost the exception (C code may clear any, as
    ``PyObject_HasAttr`` does), so that long work calls this between its parts.
    """
    number = received_stop()
    if number is not None and threading.current_thread() is threading.main_thread():
        raise_stop(number, None)


def report_unraisable(unraisable: "UnraisableHookArgs") -> None:
    """Report an exception that Python cannot raise, as Python itself does; say nothing of a stop signal's.

    An exception that is raised while a destructor or the callback of a weak reference runs is lost: Python prints its
    traceback and goes on. A stop that is lost so is raised again by ``raise_lost_stop``. For ``sys.unraisablehook``.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(unraisable)
