"""Messages on stderr and in train.log: text from outside without what a terminal obeys."""

from pathlib import Path

import pytest

from dlcli.runtime.console import Console

HOSTILE = "a\x1b[31mb\u202ec\x9bd\re\x85f\u2028g"
SHOWN = r"a\x1b[31mb\u202ec\x9bd\re\x85f\u2028g"


@pytest.mark.parametrize("quiet", [False, True])
def test_messages_are_escaped_on_stderr_and_in_the_log(
    quiet: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(quiet=quiet)
    console.log = tmp_path / "train.log"
    console.say(HOSTILE)
    console.warn(f"{HOSTILE}\nsecond line")
    console.note(HOSTILE)
    console.stage(HOSTILE, 1)
    expected = [SHOWN, f"warning: {SHOWN}", "second line", f"stage {SHOWN}: 1 epoch"]
    assert capsys.readouterr().err.split("\n")[:-1] == (expected[1:3] if quiet else expected)
    logged = [line.split(" ", 1)[1] for line in console.log.read_text().splitlines()]
    assert logged == [*expected[:3], SHOWN, expected[3]]


def test_reading_prints_a_line_every_ten_seconds_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 0.0, 9.9, 10.0, 19.9, 20.5, 31.0, 40.0, 49.0])
    monkeypatch.setattr("dlcli.runtime.console.time.monotonic", lambda: next(seconds))
    console = Console(quiet=False)  # reads the clock once
    for done in (1, 2, 3, 4, 5, 60):
        console.reading(done, 60)
    assert capsys.readouterr().err.splitlines() == ["reading images: 3 of 60", "reading images: 5 of 60"]
    console.reading(1, 60)  # another pass over images starts anew
    console.reading(2, 60)
    assert capsys.readouterr().err == ""


def test_a_quiet_console_prints_no_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dlcli.runtime.console.SECONDS_PER_LINE", 0.0)
    console = Console(quiet=True)
    console.reading(1, 60)
    console.reading(2, 60)
    assert capsys.readouterr().err == ""
