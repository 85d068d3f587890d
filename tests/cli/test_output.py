"""What the command line prints: control characters from outside never reach the terminal."""

import ast
import json
import sys
from pathlib import Path

import pytest

from dlcli.cli import _run, output

PACKAGE = Path(__file__).parents[2] / "dlcli"
RED, REVERSED, CSI = "\x1b[31m", "\u202e", "\x9b"
HOSTILE = f"a{RED}b{REVERSED}c{CSI}d"
SHOWN = r"a\x1b[31mb\u202ec\x9bd"


def test_everything_is_printed_through_one_module() -> None:
    for path in PACKAGE.joinpath("cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "output.py":
                assert ast.unparse(node.func) not in ("click.echo", "click.secho", "click.confirm", "print"), path


def test_text_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"{HOSTILE}\nsecond line")
    output.say(HOSTILE, err=True)
    output.write_table([HOSTILE, "b"], [[f"{HOSTILE}\n", 1.5]])
    output.write_markdown([HOSTILE], [[HOSTILE]], num_text_columns=1)
    output.write_metrics({HOSTILE: 1.0})
    output.write_matrix([[1]], [HOSTILE])
    shown = capsys.readouterr()
    assert shown.err == f"{SHOWN}\n"
    assert shown.out.splitlines()[:2] == [SHOWN, "second line"]
    assert shown.out.count(SHOWN) == 8
    assert rf"{SHOWN}\n  1.5000" in shown.out
    assert not any(character in shown.out for character in (RED, REVERSED, CSI))


def test_json_is_escaped_and_reads_back_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_json({HOSTILE: [HOSTILE, "é"]})
    text = capsys.readouterr().out
    assert json.loads(text) == {HOSTILE: [HOSTILE, "é"]}
    assert text.isascii() == ("é" not in text)
    assert not any(character in text for character in (RED, REVERSED, CSI))


def test_tokens_are_colored_on_terminals_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [("good", 2.0), (HOSTILE, -2.0), ("dull", -0.5), ("film", 0.01)]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.write_marked(tokens, separator=" ")
    assert capsys.readouterr().out == f"  good {SHOWN} dull film\n"
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)  # as on a terminal
    output.write_marked(tokens, separator="")
    strong, against, pale = "\x1b[38;5;16m\x1b[48;5;203m", "\x1b[38;5;16m\x1b[48;5;75m", "\x1b[38;5;16m\x1b[48;5;189m"
    parts = [f"{strong}good", f"{against}{SHOWN}", f"{pale}dull", "film\n"]
    assert capsys.readouterr().out == "  " + "\x1b[0m".join(parts)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            output.write_marked(tokens, separator=" ")
            assert capsys.readouterr().out == f"  good {SHOWN} dull film\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        (f"--{HOSTILE}",),
        ("runs", "list", f"--{HOSTILE}"),
        ("runs", "list", HOSTILE),
        ("train", f"{HOSTILE}.yaml"),
        ("evaluate", HOSTILE),
        ("evaluate", "--split", HOSTILE),
        ("recipe", "check", HOSTILE),
        ("recipe", "init", HOSTILE),
        ("transfer", "--base", HOSTILE),
        ("transfer", "--base", "vgg16", "--unfreeze", HOSTILE),
        ("summary", f"{HOSTILE}.keras"),
        ("predict", HOSTILE, HOSTILE),
        ("attack", HOSTILE, "--fgsm"),
        ("attack", "--fgsm", "--eps", HOSTILE),
        ("generate", HOSTILE),
        ("generate", "--length", HOSTILE),
        ("data", "check", HOSTILE),
        ("data", "split", HOSTILE),
        ("runs", "show", HOSTILE),
        ("runs", "diff", HOSTILE, HOSTILE),
        ("runs", "remove", HOSTILE),
        ("models", HOSTILE),
        ("completion", HOSTILE),
        ("doctor", HOSTILE),
    ],
    ids=lambda arguments: " ".join(arguments)[:24].encode("ascii", "replace").decode(),
)
def test_errors(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dlcli", *arguments])
    assert _run() == 2
    shown = capsys.readouterr()
    assert "\\x1b[31m" in shown.err
    assert not any(character in shown.err + shown.out for character in (RED, REVERSED, CSI))
