"""Runs a builder of layers from a user's own Python file, which only ``--allow-code`` permits.

This is the one place where a file that a recipe names is executed. The permission is given for one command, on its
command line; a file is read once for each, so that what is recorded is what was executed.
"""

import contextlib
import functools
import hashlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile
from dlcli.files import read_file as read_bounded
from dlcli.printing import escaped_line

MAX_BYTES = 2**20

_sources: ContextVar[dict[Path, bytes] | None] = ContextVar("sources", default=None)
"""The files that were read since the permission was given; None without it."""


@contextlib.contextmanager
def allowed_code() -> Iterator[None]:
    """A context in which code from files may be executed."""
    token = _sources.set({})
    try:
        yield
    finally:
        _sources.reset(token)


def read_code(file: Path) -> bytes:
    """The content of a Python file.

    Raises:
        InputError: code is not allowed, or the file cannot be read.
    """
    sources = _sources.get()
    if sources is None:
        raise InputError(
            f"{file}: model.kind: python executes this file. If you trust it, add --allow-code to the command, or "
            "allow_code=True to the call."
        )
    if file not in sources:
        try:
            sources[file] = read_bounded(file, MAX_BYTES)
        except BadFile as reason:
            raise InputError(f"{file}: {reason}. Correct model.file.") from None
    return sources[file]


def code_digest(data: bytes) -> str:
    """The SHA-256 of a file's content."""
    return hashlib.sha256(data).hexdigest()


def call_builder(file: Path, name: str, inputs: Any, options: Mapping[str, Any]) -> Any:
    """What a function of a file returns for ``(inputs, **options)``.

    Raises:
        InputError: code is not allowed; the file has no such function; or it fails, with the line in the file.
    """
    data = read_code(file)
    with _located(file):
        builder = _namespace(file, data).get(name)
    if not callable(builder):
        raise InputError(f"{file}: there must be a function '{name}'. Set model.function to the name of one.")
    with _located(file):
        return _call(builder, inputs, options)


def _call(builder: Callable[..., Any], inputs: Any, options: Mapping[str, Any]) -> Any:
    return builder(inputs, **options)


@functools.lru_cache(8)  # a network is built several times, and classes must stay the same
def _namespace(file: Path, data: bytes) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
    exec(compile(data, str(file), "exec", dont_inherit=True), namespace)
    return namespace


@contextlib.contextmanager
def _located(file: Path) -> Iterator[None]:
    """A context in which errors of the user's code are reported with their line in the file.

    Raises:
        InputError: the code raised anything.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        line = _line_of(file, error)
        place = f"{file}:{line}" if line else str(file)
        reason = escaped_line((str(error) or "no message").splitlines()[0][:200])
        raise InputError(f"{place}: {type(error).__name__}: {reason}. Fix the code.") from None


def _line_of(file: Path, error: BaseException) -> int | None:
    """The last line of the file that was executed, or the one that is no Python."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return lines[-1] if lines else None
