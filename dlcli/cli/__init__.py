"""The command line: find the verb, run it, and turn errors into lines on stderr and an exit status.

A verb's module is imported only when the verb is used, and imports only click at its top, so that help and errors come
back without loading TensorFlow.
"""

import atexit
import contextlib
import errno
import importlib
import os
import signal
import sys
import warnings
from typing import Any, NoReturn

import click

from dlcli import __version__
from dlcli.cli.output import say
from dlcli.errors import (
    STOP_SIGNALS,
    CheckFailed,
    InputError,
    Interrupted,
    Terminated,
    raise_stop,
    received_stop,
    report_unraisable,
)

REMEDIES = {
    errno.ENOSPC: ". Free some space on that disk, or choose another location.",
    errno.EDQUOT: ". Free some of your quota on that disk, or choose another location.",
    errno.EFBIG: ". Raise the limit on the size of files (ulimit -f), or choose another location.",
    errno.EACCES: ". Fix its permissions, or choose another location.",
    errno.EROFS: ". Choose another location.",
    errno.EEXIST: ". Rename it, or choose another location.",
    errno.ENOTDIR: ". Rename it, or choose another location.",
}
"""Remedies for errors of the operating system, by errno."""

VERBS = (
    "train",
    "launch",
    "transfer",
    "reproduce",
    "ensemble",
    "search",
    "find-lr",
    "sweep",
    "evaluate",
    "predict",
    "embed",
    "generate",
    "serve",
    "attack",
    "explain",
    "export",
    "report",
    "runs",
    "data",
    "models",
    "summary",
    "convolve",
    "recipe",
    "doctor",
    "completion",
)


class VerbGroup(click.Group):
    """A group that imports each command from the module of its name in this package: ``find_lr`` for ``find-lr``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"dlcli.cli.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if error.ctx is None and ctx.invoked_subcommand:  # click's parser of options names no command
                command = click.Command(ctx.invoked_subcommand)
                error.ctx = click.Context(command, parent=ctx, info_name=ctx.invoked_subcommand)
            raise
        except BrokenPipeError:  # the reader of stdout is gone, as in `dlcli runs list | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dlcli")
def cli() -> None:
    """Train, evaluate and use Keras models from YAML recipes.

    \b
    Get started with handwritten digits, no download needed:
      dlcli recipe show recipes/digits_convnet.yaml
      dlcli train recipes/digits_convnet.yaml
      dlcli evaluate
      dlcli predict RUN image.png

    \b
    Fine-tune an ImageNet network on your own photos, one folder per class:
      dlcli transfer --base resnet50 --data photos/

    Results go to stdout, everything else to stderr. Exit status: 0 success, 1 a check failed or the loss is not finite,
    2 bad input, 130 interrupted by Ctrl-C, 143 terminated by SIGTERM, 129 the terminal was closed (SIGHUP).
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup and in a script's background
            signal.signal(number, raise_stop)
    sys.unraisablehook = report_unraisable
    _open_missing_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries; a user of the command line cannot act on them
    status = _run()
    for number in STOP_SIGNALS:  # the work is done; do not interrupt the shutdown
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe, which _run has reported
            stream.flush()
    # skip the interpreter's shutdown: it can deadlock with a TensorFlow thread that prefetches data
    os._exit(status)


def _open_missing_streams() -> None:
    """Open /dev/null as stdin, stdout or stderr where one is closed (``2>&-``), lest a file get its descriptor."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor: this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _print_error(text: object) -> None:
    """Print a line on stderr, if it can be written to."""
    with contextlib.suppress(OSError):
        say(text, err=True)


def _run() -> int:
    try:
        result: Any = cli.main(prog_name="dlcli", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Interrupted as error:
        _print_error(error)
        return 128 + error.signal_number
    except (KeyboardInterrupt, click.Abort):
        return _report_stop(signal.SIGINT)
    except Terminated as error:
        return _report_stop(error.signal_number)
    except Exception as error:
        number = received_stop()  # if any, the error is what a library made of it
        return _report_error(error) if number is None else _report_stop(number)


def _report_stop(number: int) -> int:
    _print_error("Interrupted." if number == signal.SIGINT else "Terminated.")
    return 128 + number


def _report_error(error: Exception) -> int:
    """Print the line of an error that a user can do something about, and return the exit status; raise any other."""
    match error:
        case click.ClickException():
            _print_error(_line_of(error))
            return error.exit_code
        case InputError():
            _print_error(error)
            return 2
        case CheckFailed():
            _print_error(error)
            return 1
        case OSError():  # a full disk, a folder without permission
            remedy = REMEDIES.get(error.errno or 0, "")
            _print_error(f"{error.filename or 'input or output'}: {error.strerror or error}{remedy}")
            return 2
        case _ if _is_out_of_memory(error):
            _print_error("the memory is full. Use a smaller batch size, or a machine with more memory.")
            return 1
        case _:
            raise error


def _line_of(error: click.ClickException) -> str:
    """One line about a wrong command line, with the command that explains it: click would print four.

    A group without a command shows its help.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    text = error.format_message().replace("\n", " ").replace("\t", " ")
    if text[1:2].islower():  # click's sentences have a capital; dlcli's errors begin with a place
        text = text[0].lower() + text[1:]
    text = text if text.endswith((".", "?", "?)")) else f"{text}."
    if not isinstance(error, click.UsageError):
        return text
    command = "dlcli" if error.ctx is None else error.ctx.command_path
    return f"{command}: {text} See: {command} --help"


def _is_out_of_memory(error: Exception) -> bool:
    tensorflow = sys.modules.get("tensorflow")  # loaded by the verb, if at all
    return isinstance(error, MemoryError) or (
        tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)
    )
