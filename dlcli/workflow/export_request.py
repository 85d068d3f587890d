"""The checks of what ``dlcli export`` is asked for, which need no TensorFlow."""

from pathlib import Path

from dlcli.errors import InputError
from dlcli.exporting.formats import Format, Quantization, check_format


def check_request(format_: Format, quantization: Quantization | None, output: Path | None) -> None:
    """Refuse a format whose packages are not installed, a quantization that it lacks, and a folder in use.

    Args:
        output: a folder that does not exist, or is empty; None for the run's own.

    Raises:
        InputError: says what to do instead.
    """
    check_format(format_, quantization)
    if output is None:
        return
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise InputError(f"{output}: already exists. Choose another folder with -o, or delete it.")
