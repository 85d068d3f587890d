"""Kills, and errors of the disk, at a command's k-th operation on files in its folder.

Operations are what Python's audit events report (opening to write, renaming, removing, creating folders) and calls of
:func:`os.fsync`. So the points are counted by what happens to files, not by which functions of dlcli are called. A
kill at a sync leaves half of the file behind, as a power failure may.
"""

import errno
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes  # type: ignore[import-not-found]

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink")
FREEING = ("os.remove", "os.rmdir", "os.truncate")  # succeed on a full disk


class _Operations:
    """Counts the operations of this process on files below the current folder, and does something at each."""

    def __init__(self) -> None:
        self.count = 0
        self.root = f"{Path.cwd()}{os.sep}"
        sys.addaudithook(self._hear)
        self._fsync = os.fsync
        processes.replace("os.fsync", lambda fsync: self._sync)

    def happens(self, event: str, descriptor: int | None) -> None:
        raise NotImplementedError

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or isinstance(arguments[0], int):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        path = os.path.join(os.getcwd(), os.fsdecode(arguments[0]))
        if path.startswith(self.root) and not path.startswith(f"{self.root}.output"):
            self._count(event, None)

    def _sync(self, descriptor: int) -> None:
        self._count("sync", descriptor)
        self._fsync(descriptor)

    def _count(self, event: str, descriptor: int | None) -> None:
        self.count += 1
        self.happens(event, descriptor)


@dataclass(frozen=True)
class KillAtOperation:
    """Draws no plots, and kills the process before its k-th operation, counted from 1."""

    call: int

    def __call__(self) -> None:
        processes.without_plots()
        call = self.call

        class Kill(_Operations):
            def happens(self, event: str, descriptor: int | None) -> None:
                if self.count == call:
                    if descriptor is not None and not os.path.isdir(f"/proc/self/fd/{descriptor}"):
                        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                    os.kill(os.getpid(), signal.SIGKILL)

        Kill()


@dataclass(frozen=True)
class FailFromOperation:
    """Draws no plots, and fails every operation from the k-th on: ENOSPC those that need space, EIO all."""

    call: int
    error: int

    def __call__(self) -> None:
        processes.without_plots()
        call, error = self.call, self.error

        class Fail(_Operations):
            def happens(self, event: str, descriptor: int | None) -> None:
                if self.count >= call and not (error == errno.ENOSPC and event in FREEING):
                    raise OSError(error, os.strerror(error))

        Fail()
