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
