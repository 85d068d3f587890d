"""A call that holds Python's lock for too long ends the process with a line; one that is quick is not disturbed."""

import ctypes
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest

from dlcli.runtime.time_limit import time_limit


def hold_the_lock() -> None:
    with time_limit(1, "took too long"):
        ctypes.PyDLL(None).sleep(60)  # of the C library, without releasing the lock


@pytest.mark.slow
def test_a_call_that_takes_too_long_ends_the_process(tmp_path: Path) -> None:
    ended = processes.call(hold_the_lock, folder=tmp_path)
    assert ended.status == 1
    assert ended.stderr.endswith("took too long\n")


def test_a_quick_call(capfd: pytest.CaptureFixture[str]) -> None:
    with time_limit(30, "took too long"):
        pass
    assert capfd.readouterr().err == ""
