"""``dlcli``, the console script, is ``python -m dlcli``."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line and exits."""
    # until click is loaded, a signal ends the process as it ends any program: without a traceback
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    from dlcli.cli import main as run

    run()


if __name__ == "__main__":
    main()
