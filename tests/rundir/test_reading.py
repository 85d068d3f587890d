"""Files of a run that are missing, corrupt or too large."""

import os
from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.rundir.reading import file_digest, read_json
from dlcli.rundir.tables import read_csv


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    """The text of an error, which must be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1', b"\0" * 20], ids=lambda content: repr(content[:8])
)
def test_corrupt_json_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_json(path)
    assert message(error).startswith(f"{path}: is corrupt: it")
    assert "Expecting" not in message(error)


def test_json_that_is_missing_or_not_an_object(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(InputError) as error:
        read_json(path)
    assert message(error) == f"{path}: no such file. A run directory must contain it. Restore it from a copy."
    path.write_text("[1]")
    with pytest.raises(InputError, match="must contain a JSON object"):
        read_json(path)


def test_what_is_read_of_a_run_is_bounded(tmp_path: Path) -> None:
    for name, read in {"a.json": read_json, "a.csv": read_csv}.items():
        path = tmp_path / name
        with open(path, "wb") as file:
            file.truncate(2**40)
        with pytest.raises(InputError, match=rf"{name}: .*larger than [\d,]+ bytes"):
            read(path)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(InputError, match=f"{name}: .*a pipe or device, not a file"):
            read(path)
    with pytest.raises(InputError, match="a pipe or device, not a file"):
        file_digest(tmp_path / "a.json")
