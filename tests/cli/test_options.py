"""Options that several verbs share: devices, output files and the completion of runs."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from dlcli.cli.options import (
    Utf8,
    check_device,
    check_output,
    complete_names,
    complete_runs,
    complete_runs_and_studies,
)
from dlcli.errors import InputError

NOTHING: Any = None


def test_devices() -> None:
    assert check_device("gpu:1", takes_several=False) == "gpu:1"
    assert check_device("gpu:0,1", takes_several=True) == "gpu:0,1"
    with pytest.raises(click.BadParameter, match=r"this command uses one device.*Received 'gpu:all'"):
        check_device("gpu:all", takes_several=False)
    with pytest.raises(click.BadParameter, match=r"expected auto, cpu, cpu:xN, gpu, .*Received 'cuda'"):
        check_device("cuda", takes_several=True)


def test_text_that_is_not_utf_8_names_its_first_byte() -> None:
    assert Utf8().convert("é", None, None) == "é"
    with pytest.raises(click.BadParameter, match=r"must be UTF-8 text\. Received byte 0xff\."):
        Utf8().convert("é\udcff\udcfe", None, None)


def test_outputs_are_checked_before_anything_is_computed(tmp_path: Path) -> None:
    suffixes = (".csv", ".json")
    output = tmp_path / "a.CSV"
    check_output(output, suffixes, force=False)
    output.touch()
    check_output(output, suffixes, force=True)
    with pytest.raises(InputError, match=r"a\.CSV: already exists\. Choose another name, or use --force"):
        check_output(output, suffixes, force=False)
    with pytest.raises(InputError, match=r"a\.txt: expected a file name ending in \.csv or \.json\.$"):
        check_output(tmp_path / "a.txt", suffixes, force=False)
    absent = tmp_path / "absent"
    with pytest.raises(InputError, match=f"^{re.escape(str(absent))}: no such folder to write a.csv to"):
        check_output(absent / "a.csv", suffixes, force=False)
    (tmp_path / "link.csv").symlink_to(output)
    with pytest.raises(InputError, match="link"):
        check_output(tmp_path / "link.csv", suffixes, force=True)


def test_only_runs_with_harmless_names_are_completed(tmp_path: Path) -> None:
    for name in ("b", "a-2", "a", "a\x1b[31m"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-study").mkdir()
    (tmp_path / "a-study" / "search.json").touch()
    context: Any = SimpleNamespace(params={"runs": str(tmp_path)})
    assert complete_names(context, "a", ("search",)) == ["a-study"]
    assert complete_names(context, "a", ("sweep",)) == []
    assert complete_runs_and_studies(context, NOTHING, "a") == ["a", "a-2", "a-study"]
    assert complete_runs(context, NOTHING, "a") == ["a", "a-2"]
    assert complete_runs(context, NOTHING, "") == ["a", "a-2", "b"]
    assert complete_runs(SimpleNamespace(params={"runs": str(tmp_path / "none")}), NOTHING, "") == []  # type: ignore[arg-type]
