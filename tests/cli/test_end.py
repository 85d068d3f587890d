"""How a process ends."""

import subprocess
import sys
import textwrap

import pytest

from dlcli.cli import _run, cli

RUNNING_THREAD = textwrap.dedent(
    """
    import sys, threading
    threading.Thread(target=threading.Event().wait).start()  # like a library thread that waits for the interpreter
    from dlcli.cli import main
    sys.argv = ["dlcli", *sys.argv[1:]]
    main()
    """
)


def test_a_process_ends_while_a_library_thread_is_still_running() -> None:
    for arguments, status, stdout in ((["--version"], 0, "dlcli"), (["train", "nowhere.yaml"], 2, "")):
        done = subprocess.run(
            [sys.executable, "-c", RUNNING_THREAD, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status
        assert done.stdout.startswith(stdout)
        assert bool(done.stdout) == bool(stdout)
        assert done.stderr.count("\n") == (1 if status else 0)


def test_a_full_stdout_is_reported() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dlcli", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("input or output: No space left on device.")


def test_out_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def exhaust(**keys: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cli, "main", exhaust)
    assert _run() == 1
    assert capsys.readouterr().err == "the memory is full. Use a smaller batch size, or a machine with more memory.\n"
