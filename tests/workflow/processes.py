"""Run dlcli outside the test process, as a user does: exit statuses, stdout and stderr apart, signals, kills.

Importing TensorFlow takes seconds, so processes are forked from one that has imported everything and started nothing
(:mod:`multiprocessing`'s fork server). Commands that need no process of their own share one, which runs them in turn:
what TensorFlow, Keras and Matplotlib do at first use costs as much as a tiny training run. No process waits for the
disk: what it wrote before a kill is in the files without that. Tests of startup itself use :mod:`subprocess`.
"""

import contextlib
import functools
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DLCLI = Path(sys.executable).parent / "dlcli"
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}  # the same to the bit: that is promised on CPU
WAIT_SECONDS = 120  # for anything that should take a few; a bound on tests that hang, not a measurement

OWN_PROCESS = {"--device", "--deterministic"}  # options that change TensorFlow for the rest of a process
NUM_COMMANDS = 150  # after which the shared process is replaced, because traced functions stay in memory

Prepare = Callable[[], object]  # called in the process before dlcli starts; importable by its name

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    [
        f"dlcli.cli.{verb}"
        for verb in ("train", "transfer", "search", "evaluate", "predict", "attack", "explain", "runs", "summary")
    ]
    + ["dlcli.workflow.pretrained_classifier", "dlcli.workflow.attack.attack", "dlcli.workflow.search.search"]
    + [f"dlcli.workflow.{verb}" for verb in ("train", "evaluate", "predict", "explain", "runs", "summary")]
    + ["sklearn.datasets"]  # the bundled digits
)


@dataclass(frozen=True)
class Finished:
    """How a process ended: its exit status (the negative signal number if it was killed) and its output."""

    status: int
    stdout: str
    stderr: str

    def expect(self, status: int) -> "Finished":
        """Asserts the exit status, and that no traceback reached the user."""
        console = f"{self.stdout}\n{self.stderr}"
        assert "Traceback" not in console, console
        assert self.status == status, f"exit status {self.status}, expected {status}\n{console}"
        return self


class Process:
    """A function running in its own process, such as dlcli's ``main``."""

    def __init__(self, function: Callable[..., None], arguments: Sequence[object], *, folder: Path) -> None:
        self._output = folder / f".output-{time.monotonic_ns()}"
        for name in ("out", "err"):
            Path(f"{self._output}.{name}").touch()
        self._process = _server.Process(target=_work, args=(function, arguments, folder, self._output), daemon=True)
        self._process.start()

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self._process.is_alive())

    def send(self, number: int) -> None:
        """Sends a signal, which comes too late where the process has ended."""
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def wait_for(self, path: Path) -> None:
        """Waits until a file exists; the process must not end before."""
        wait_until(lambda: path.exists() or not self.is_alive())
        assert self.is_alive(), f"ended before {path} came: {self.finish()}"

    def wait_for_output(self, text: str) -> None:
        """Waits until stderr contains a text; the process must not end before."""
        wait_until(lambda: text in self._read("err") or not self.is_alive())
        assert self.is_alive(), f"ended before it printed {text}: {self.finish()}"

    def finish(self, seconds: float = WAIT_SECONDS) -> Finished:
        """Waits for the end."""
        self._process.join(seconds)
        if self.is_alive():
            self._process.kill()
            raise AssertionError(f"did not end: {self._read('out')}\n{self._read('err')}")
        status = self._process.exitcode
        assert status is not None
        self._process.close()
        finished = Finished(status, self._read("out"), self._read("err"))
        for name in ("out", "err"):
            Path(f"{self._output}.{name}").unlink()
        return finished

    def _read(self, name: str) -> str:
        return Path(f"{self._output}.{name}").read_text()


def start(*arguments: object, folder: Path, prepare: Prepare | None = None) -> Process:
    """Starts ``dlcli`` with these arguments in a folder."""
    return Process(_main, ([str(argument) for argument in arguments], prepare), folder=folder)


def run(*arguments: object, folder: Path, prepare: Prepare | None = None) -> Finished:
    """Runs ``dlcli`` with these arguments in a folder to its end, in the shared process where that makes no difference.

    With a ``prepare`` other than :func:`without_plots`, it gets a process of its own.
    """
    texts = [str(argument) for argument in arguments]
    if prepare in (None, without_plots) and OWN_PROCESS.isdisjoint(texts):
        return _SharedProcess.run(texts, folder, draws=prepare is None)
    return start(*texts, folder=folder, prepare=prepare).finish()


def call(function: Callable[..., None], *arguments: object, folder: Path) -> Finished:
    """Calls a function of a module that can be imported, in a process of its own, to its end."""
    return Process(function, arguments, folder=folder).finish()


class _SharedProcess:
    """The process that runs commands one after the other, for this test process."""

    _current: "_SharedProcess | None" = None

    def __init__(self) -> None:
        self._pipe, theirs = _server.Pipe()
        self._process = _server.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._num_left = NUM_COMMANDS

    @classmethod
    def run(cls, arguments: list[str], folder: Path, *, draws: bool) -> Finished:
        """Runs a command in a folder, in a new process where there is none yet or the last one is worn out."""
        shared = cls._current or cls()
        cls._current = None  # unless it comes through this command
        finished = shared._run(arguments, folder, draws)
        if shared._num_left > 0:
            cls._current = shared
        else:
            shared._pipe.close()  # which ends it
        return finished

    def _run(self, arguments: list[str], folder: Path, draws: bool) -> Finished:
        self._num_left -= 1
        output = folder / f".output-{time.monotonic_ns()}"
        files = [Path(f"{output}.{name}") for name in ("out", "err")]
        for path in files:
            path.touch()
        self._pipe.send((arguments, folder, output, draws))
        has_ended = self._pipe.poll(WAIT_SECONDS)
        try:
            status = self._pipe.recv() if has_ended else None
        except EOFError:
            status = None
        texts = [path.read_text() for path in files]
        if status is None:
            self._process.kill()
            raise AssertionError("\n".join(("did not end" if not has_ended else "died", *texts)))
        for path in files:
            path.unlink()
        return Finished(status, *texts)


def wait_until(holds: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def _work(function: Callable[..., None], arguments: Sequence[object], folder: Path, output: Path) -> None:
    """What the forked process does."""
    gc.freeze()  # what was imported is no garbage; Keras looks for garbage whenever a model is built
    _enter(folder, output)
    _set_up()
    function(*arguments)


def _set_up() -> None:
    os.environ.update(WITHOUT_GPU)
    os.fsync = lambda descriptor: None


def _enter(folder: Path, output: Path) -> None:
    """Makes a folder the current one, and two files stdout and stderr."""
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        descriptor = os.open(f"{output}.{name}", os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    os.chdir(folder)


def _main(arguments: list[str], prepare: Prepare | None) -> None:
    if prepare is not None:
        prepare()
    from dlcli.cli import main

    sys.argv = ["dlcli", *arguments]
    main()


def _serve(pipe: Any) -> None:
    """Runs the commands that come through a pipe, until it is closed."""
    import keras

    from dlcli.cli import _run

    gc.freeze()
    _set_up()
    warnings.simplefilter("ignore")
    environment = dict(os.environ)
    while True:
        try:
            arguments, folder, output, draws = pipe.recv()
        except EOFError:
            return
        _enter(folder, output)
        sys.argv = ["dlcli", *arguments]
        with contextlib.ExitStack() as stubs:
            if not draws:
                stubs.callback(without_plots())
            status = _run()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        keras.backend.clear_session()
        gc.freeze()  # traced functions stay, and would be examined again and again
        keras.mixed_precision.set_dtype_policy("float32")
        os.environ.clear()
        os.environ.update(environment)
        pipe.send(status)


# What tests do to a process -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KillAtCheckpoint:
    """Draws no plots and kills the process before it saves its k-th checkpoint."""

    call: int

    def __call__(self) -> None:
        without_plots()
        KillAtCall(("dlcli.training.checkpoint.save",), self.call)()


@dataclass(frozen=True)
class KillAtCall:
    """Kills the process, as kill -9 does, at the k-th call of the given functions, counted from 1.

    ``functions`` are named as in ``os.fsync`` or ``dlcli.training.checkpoint.save``; the kill comes before or ``after``
    the call. Instead, it may be another signal of this ``number``.
    """

    functions: tuple[str, ...]
    call: int
    after: bool = False
    number: int = signal.SIGKILL

    def __call__(self) -> None:
        count = 0

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                own = count
                if own == self.call and not self.after:
                    os.kill(os.getpid(), self.number)
                result = function(*args, **kwargs)
                if own == self.call:
                    os.kill(os.getpid(), self.number)
                return result

            return wrapper

        for name in self.functions:
            replace(name, counted)


@dataclass(frozen=True)
class HoldAtCall:
    """Creates the file ``reached`` when a function is called for the k-th time, and waits while it exists."""

    function: str
    reached: Path
    call: int = 1

    def __call__(self) -> None:
        count = 0

        def held(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count == self.call:
                    self.reached.touch()
                    end = time.monotonic() + WAIT_SECONDS  # a test that failed meanwhile lets nobody go
                    while self.reached.exists() and time.monotonic() < end:
                        time.sleep(0.005)
                return function(*args, **kwargs)

            return wrapper

        replace(self.function, held)


def run_without_plots(*arguments: object, folder: Path, status: int = 0) -> "Finished":
    """Runs dlcli in a folder without drawing, to the exit status that is expected."""
    return run(*arguments, folder=folder, prepare=without_plots).expect(status)


def run_all(*commands: Sequence[object], folder: Path) -> None:
    """Runs several commands one after the other, without drawing; each must succeed."""
    for command in commands:
        run_without_plots(*command, folder=folder)


PLOTS = (
    "curves.learning_curves",
    "classification.confusion_matrix",
    "classification.confused_classes",
    "classification.roc",
    "classification.precision_recall",
    "images.sample_batch",
    "mask_comparison.mask_comparison",
    "mask_comparison.mask_grid",
    "mask_comparison.mask_preview",
    "class_scores.class_scores",
    "detections.comparison",
    "detections.confusion_matrix",
    "detections.f1_curves",
    "images.mistakes",
    "images.preview",
    "images.with_captions",
    "boxes.boxes",
    "boxes.localization_curves",
    "cells.cells_plot",
    "numbers.predicted_against_true",
    "objects.counts_and_sizes",
    "objects.object_grid",
    "objects.object_preview",
    "sequences.attention_maps",
    "sequences.bit_sequences",
    "sequences.errors_ahead",
    "sequences.forecasts",
    "sequences.predicted_numbers",
    "sequences.series",
    "robustness.robustness_curves",
    "search.front_plot",
    "search.progress_plot",
)
_are_plots_drawn = True


def without_plots() -> Callable[[], None]:
    """Draws no plots, which take most of the time of a tiny run; the result draws them again."""
    global _are_plots_drawn
    _make_plots_optional()
    _are_plots_drawn = False
    return _draw_plots


def _draw_plots() -> None:
    global _are_plots_drawn
    _are_plots_drawn = True


@functools.cache  # once in a process: looking through all modules takes as long as a refused command
def _make_plots_optional() -> None:
    def optional(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **keys: function(*args, **keys) if _are_plots_drawn else b""

    _replace([f"dlcli.report.plots.{name}" for name in PLOTS], optional)


def replace(name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replaces ``module.function`` in this process, wherever dlcli has it, by what ``wrap`` makes of it."""
    _replace([name], wrap)


def _replace(names: Sequence[str], wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    replacements: dict[int, tuple[object, Callable[..., Any]]] = {}  # with the function, so that its id stays its own
    for name in names:
        module_name, _, function_name = name.rpartition(".")
        module = importlib.import_module(module_name)
        function = getattr(module, function_name)
        replacements[id(function)] = (function, wrap(function))
        setattr(module, function_name, replacements[id(function)][1])
    for key, module in list(sys.modules.items()):
        if key.startswith("dlcli."):
            for name, value in list(vars(module).items()):
                if id(value) in replacements:
                    setattr(module, name, replacements[id(value)][1])
