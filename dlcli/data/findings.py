"""What one of several processes finds out about files and sends to the others, so that each file is read once.

The processes of a cluster prepare the same job from the same data. While they do, the chief alone reads the files that
tell it what the data are: it decodes the images, counts the masks, and looks into headers. The workers make the same
calls in the same order, and receive what was found.
"""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from dlcli.data.files import AnyPath
from dlcli.errors import InputError

Found = TypeVar("Found")


@dataclass(frozen=True)
class Sharing:
    """How processes share what is found.

    Attributes:
        is_chief: whether this process finds it.
        from_chief: called by all processes in the same order: sends the content in the chief, returns it in all.
        name: of this process, for messages.
    """

    is_chief: bool
    from_chief: Callable[[bytes], bytes]
    name: str


_SHARING: ContextVar[Sharing | None] = ContextVar("sharing", default=None)


@contextlib.contextmanager
def sharing(shared: Sharing) -> Iterator[None]:
    """A context in which the chief's findings are those of all processes."""
    token = _SHARING.set(shared)
    try:
        yield
    finally:
        _SHARING.reset(token)


def find_once(
    files: Sequence[AnyPath],
    find: Callable[[], Found],
    *,
    encode: Callable[[Found], bytes],
    decode: Callable[[bytes], Found],
) -> Found:
    """What is found in some files: by this process, or by the chief of several.

    Args:
        files: those that are read; each process may have them in another folder, under the same names.
        find: reads them; not called by a worker.
        encode, decode: to and from bytes.

    Raises:
        InputError: a worker has other files than the chief.
    """
    shared = _SHARING.get()
    if shared is None:
        return find()
    names = _digest(files)
    if shared.is_chief:
        found = find()
        shared.from_chief(json.dumps([len(files), names]).encode())
        shared.from_chief(zlib.compress(encode(found), 1))
        return found
    number, others = json.loads(shared.from_chief(b""))
    content = shared.from_chief(b"")
    if others != names:
        received = f"{len(files):,} files" if number != len(files) else "files of other names"
        raise InputError(
            f"{shared.name}: the data must have the {number:,} files that they have on the chief. Received {received}."
        )
    return decode(zlib.decompress(content))


def _digest(files: Sequence[AnyPath]) -> str:
    """Of the names of files, without their folders."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(os.path.basename(file)) + b"\0")
    return digest.hexdigest()
