"""Entry point of the console script ``dlcli`` and of ``python -m dlcli``."""

import signal
from typing import NoReturn

from dlcli.errors import STOP_SIGNALS


def main() -> NoReturn:
    """Run the command line and exit."""
    # until click is loaded, a signal ends the process without a traceback, like any other program
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    from dlcli.cli import main as run

    run()


if __name__ == "__main__":
    main()
