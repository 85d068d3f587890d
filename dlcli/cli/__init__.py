"""The command line: finds the verb, runs it, and turns errors into lines on stderr and an exit status.

A verb's module is imported only when it is asked for, and imports click alone at its top: help and errors come back
before TensorFlow would have been loaded.
"""

import atexit
import contextlib
import errno
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import click

from dlcli import __version__
from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated

REMEDIES = {
    errno.ENOSPC: ". Make room on that disk, or choose another place.",
    errno.EACCES: ". Fix its permissions, or choose another place.",
    errno.EROFS: ". Choose another place.",
}
"""What to do about an error of the operating system, by its number."""

Handler = Callable[[int, FrameType | None], Any]

VERBS = (
    "train",
    "transfer",
    "evaluate",
    "predict",
    "generate",
    "attack",
    "runs",
    "data",
    "models",
    "summary",
    "recipe",
    "doctor",
    "completion",
)


class VerbGroup(click.Group):
    """A group whose commands live in the modules of this package that bear their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"dlcli.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of stdout has gone, as in `dlcli runs list | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dlcli")
def cli() -> None:
    """Train, evaluate and use Keras models from YAML recipes.

    \b
    A first run, on handwritten digits that need no download:
      dlcli recipe show recipes/digits_convnet.yaml
      dlcli train recipes/digits_convnet.yaml
      dlcli evaluate
      dlcli predict RUN image.png

    \b
    On photos of your own, a folder for each class, with a network trained on ImageNet:
      dlcli transfer --base resnet50 --data photos/

    Results go to stdout, everything else to stderr. Exit status: 0 done, 1 a check failed or the loss is not finite,
    2 bad input, 130 interrupted by Ctrl-C, 143 by SIGTERM.
    """


def _raise_terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> NoReturn:
    """Runs the command line and exits."""
    handlers: tuple[tuple[int, Handler], ...] = (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, _raise_terminated),
    )
    for number, handler in handlers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and the background of a script have it
            signal.signal(number, handler)
    _open_missing_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries: nothing that a user of the command line can act on
    status = _run()
    for number in (signal.SIGINT, signal.SIGTERM):  # all is said and done: the end is not to be cut short
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a full disk, a reader that has gone: _run has said so
            stream.flush()
    # without the interpreter's end, which can wait for ever for a thread of TensorFlow's that reads ahead, and that
    # thread for the interpreter
    os._exit(status)


def _open_missing_streams() -> None:
    """Gives a process that was started without stdin, stdout or stderr (``2>&-``) empty ones, where files would go."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _say(text: object) -> None:
    """A line on stderr, where that can be written to."""
    with contextlib.suppress(OSError):
        click.echo(str(text), err=True)


def _run() -> int:
    try:
        result: Any = cli.main(prog_name="dlcli", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except InputError as error:
        _say(error)
        return 2
    except CheckFailed as error:
        _say(error)
        return 1
    except Interrupted as error:
        _say(error)
        return 128 + error.signal_number
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted.")
        return 130
    except Terminated:
        _say("Terminated.")
        return 143
    except OSError as error:  # a full disk, a folder without permission
        remedy = REMEDIES.get(error.errno or 0, "")
        _say(f"{error.filename or 'input or output'}: {error.strerror or error}{remedy}")
        return 2
