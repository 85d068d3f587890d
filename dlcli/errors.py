"""The errors that reach the user as lines on stderr and an exit status, never as a traceback."""


class InputError(Exception):
    """Bad input: a recipe, file, option or run that the user can put right.

    The message is what the user reads: one line for each error, naming the file (and line) and the remedy.
    Exit status 2.
    """


class CheckFailed(Exception):
    """The work was done and did not pass: a loss that is not finite, a check with findings. Exit status 1."""


class Terminated(BaseException):
    """SIGTERM came, as KeyboardInterrupt says that Ctrl-C did; the training loop heeds both in its own way."""


class Interrupted(Exception):
    """Training was stopped by a signal, after its checkpoint was saved.

    ``signal_number`` is 2 (Ctrl-C) or 15 (SIGTERM); the exit status is 128 more.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
