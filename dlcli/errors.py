"""The errors that the user sees as lines on stderr and an exit status, never as a traceback."""

import signal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that stop a command in an orderly way: Ctrl-C, a scheduler, a terminal that is closed."""


class InputError(Exception):
    """Bad input: a recipe, file, option or run that the user can fix.

    The message is shown to the user: one line per error, with the file (and line) and the remedy. Exit status 2.
    """


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

    ``signal_number`` is 2 (Ctrl-C), 15 (SIGTERM) or 1 (SIGHUP); the exit status is 128 + ``signal_number``.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
