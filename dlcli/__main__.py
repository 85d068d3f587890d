"""``python -m dlcli`` is ``dlcli``."""

from dlcli.cli import main

if __name__ == "__main__":
    main()
