"""The options that select what is attacked."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.workflow.attack.request import Request, read_range

REQUEST = Request(
    run="a.keras",
    runs=Path("runs"),
    data=Path("photos"),
    split=None,
    limit=None,
    input_range="0,255",
    classes="ants,bees",
    transfer_to=None,
    transfer_input_range=None,
    has_logits=False,
    target=None,
)


@pytest.mark.parametrize(
    ("text", "values"), [("0,1", (0, 1)), (" -1 , 1 ", (-1, 1)), ("-.5,0.5", (-0.5, 0.5)), ("0,255", (0, 255))]
)
def test_ranges(text: str, values: tuple[float, float]) -> None:
    assert read_range(text) == values


@pytest.mark.parametrize("text", ["", "1", "1,0", "1,1", "0,1,2", "0;1", "a,b", "nan,1", "0,inf", "0,1\n2"])
def test_ranges_of_another_form(text: str) -> None:
    with pytest.raises(
        InputError, match=rf"^--x: expected LOW,HIGH such as 0,1 or -1,1\. Received '{re.escape(text)}'"
    ):
        read_range(text, "--x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": None}, r"a\.keras: a model file does not record .* Specify --data, such as --data photos/"),
        ({"input_range": None}, r"a\.keras: .* Specify --input-range, such as --input-range 0,255"),
        ({"classes": None}, r"a\.keras: .* Specify --classes, such as --classes ants,bees"),
        ({"input_range": "1,0"}, r"--input-range: expected LOW,HIGH"),
        ({"run": "b.keras"}, r"b\.keras: no such file\."),
        ({"run": "a.h5"}, r"a\.h5: whole models are loaded only from \.keras files, which cannot contain code"),
        ({"transfer_to": "b.keras"}, r"b\.keras: .* such as --transfer-input-range 0,255"),
        ({"transfer_to": "b.keras", "transfer_input_range": "1,0"}, r"--transfer-input-range: expected LOW,HIGH"),
        ({"transfer_to": "other-run", "transfer_input_range": "0,1"}, r"--transfer-input-range is for --transfer-to"),
        ({"transfer_input_range": "0,1"}, r"--transfer-input-range is for --transfer-to MODEL\.keras\."),
    ],
)
def test_options_that_cannot_be_combined(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.keras").touch()
    REQUEST.check()
    with pytest.raises(InputError, match=f"^{message}"):
        replace(REQUEST, **options).check()
