"""A limit on the time of a call that holds Python's lock, during which no thread and no signal handler can run."""

import contextlib
import faulthandler
import os
import subprocess
import sys
from collections.abc import Iterator

PRINT = "import sys, time; time.sleep(float(sys.argv[1])); sys.stderr.write(sys.argv[2])"


@contextlib.contextmanager
def time_limit(seconds: int, line: str) -> Iterator[None]:
    """A context that ends the process with exit status 1 if it takes longer.

    The timer is one of faulthandler, which needs no lock; a process of its own prints the line.
    """
    printer = subprocess.Popen([sys.executable, "-I", "-S", "-c", PRINT, str(seconds), f"{line}\n"])
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds + 1, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            printer.kill()
            printer.wait()
