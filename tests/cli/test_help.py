"""Help, usage errors, completion and startup, none of which load TensorFlow."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dlcli import __version__
from dlcli.cli import VERBS, _run, cli

DLCLI = Path(sys.executable).parent / "dlcli"


def commands() -> list[tuple[str, ...]]:
    """Every verb and subcommand."""
    found: list[tuple[str, ...]] = []
    with click.Context(cli) as ctx:
        for verb in cli.list_commands(ctx):
            command = cli.get_command(ctx, verb)
            found.append((verb,))
            if isinstance(command, click.Group):
                found += [(verb, name) for name in command.list_commands(ctx)]
    return found


def test_the_list_of_verbs() -> None:
    assert {verb for verb, *_ in commands()} == set(VERBS)
    assert {"train", "evaluate", "predict", "runs", "recipe", "completion", "doctor"} <= set(VERBS)
    assert {name for verb, *rest in commands() for name in rest if verb == "runs"} == {
        "list",
        "show",
        "diff",
        "compare",
        "tag",
        "note",
        "find",
        "remove",
    }


@pytest.mark.parametrize("command", commands(), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_examples(command: tuple[str, ...], option: str) -> None:
    result = CliRunner().invoke(cli, [*command, option], prog_name="dlcli")
    assert result.exit_code == 0
    typed = " ".join(command)
    assert result.stdout.startswith(f"Usage: dlcli {typed}")
    examples = result.stdout.partition("Example")[2]
    assert re.search(rf"\n  +dlcli {typed}\b", examples), result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 100


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


WITH_COMMANDS = {("runs",), ("recipe",), ("data",)}  # whose examples are of their commands


@pytest.mark.parametrize("command", [c for c in commands() if c not in WITH_COMMANDS], ids=" ".join)
def test_examples_use_options_that_exist(command: tuple[str, ...]) -> None:
    found: click.Command = cli
    with click.Context(cli) as ctx:
        for name in command:
            assert isinstance(found, click.Group)
            found = found.get_command(ctx, name) or found
    for line in re.findall(rf"dlcli {' '.join(command)}\b.*", found.help or ""):
        own = line.partition("#")[0].partition(" -- ")[0]  # what follows is another command
        used = re.findall(r"(?<= )--?[a-z][a-z-]*", own)
        assert set(used) <= options_of(found) | {"--help"}, line


def test_main_help_and_version() -> None:
    result = CliRunner().invoke(cli, ["--help"], prog_name="dlcli")
    assert result.exit_code == 0
    for verb in VERBS:
        assert f"\n  {verb} " in result.stdout
    assert "Exit status" in result.stdout
    assert CliRunner().invoke(cli, ["--version"], prog_name="dlcli").stdout == f"dlcli, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "dlcli: no such command 'trian'"),
        (["train", "--epoch-count", "3"], "dlcli train: no such option '--epoch-count'."),
        (["train"], "dlcli train: no recipe given, such as "),
        (["train", "r.yaml", "--set"], "dlcli train: option '--set' requires an argument."),
        (["data", "preview", "r.yaml", "--samples", "0"], "dlcli data preview: invalid value for '--samples': 0 is"),
        (["train", "r.yaml", "--seeds", "1"], "'--seeds'"),
        (["train", "r.yaml", "--overfit", "0"], "'--overfit'"),
        (["train", "r.yaml", "--device", "cuda"], "expected auto, cpu, cpu:xN, gpu, gpu:N"),
        (["train", "r.yaml", "--device", "gpu:x"], "expected auto, cpu, cpu:xN, gpu, gpu:N"),
        (["train", "a.yaml", "b.yaml"], "unexpected extra argument"),
        (["evaluate", "--split", "all"], "'--split'"),
        (["predict"], "dlcli predict: missing argument 'RUN'."),
        (["runs", "lsit"], "dlcli runs: no such command 'lsit'."),
        (["completion", "powershell"], "'powershell' is not one of"),
    ],
)
def test_usage_errors_are_one_line_that_names_the_help(
    arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dlcli", *arguments])
    assert _run() == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert expected in shown.err
    command = shown.err.partition(":")[0]
    assert shown.err.endswith(f" See: {command} --help\n")
    assert shown.err.count("\n") == 1


def test_a_group_without_a_command_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dlcli", "recipe"])
    assert _run() == 2
    assert capsys.readouterr().err.startswith("Usage: dlcli recipe [OPTIONS] COMMAND [ARGS]...\n\n")


# Completion -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef dlcli"), ("fish", "complete")])
def test_completion_scripts(shell: str, sign: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="dlcli")
    assert result.exit_code == 0
    assert sign in result.stdout
    assert "_DLCLI_COMPLETE" in result.stdout


def test_bash_completion_works(tmp_path: Path) -> None:
    for name in ("digits", "digits-2", "other"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    script = f"""
        set -eu
        export PATH="{DLCLI.parent}:$PATH"
        eval "$(dlcli completion bash)"
        complete -p dlcli
        try() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _dlcli_completion dlcli
            echo "${{COMPREPLY[*]}}"
        }}
        try dlcli ev
        try dlcli train --ov
        try dlcli evaluate di
    """
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    setting, *completed = done.stdout.splitlines()
    assert setting.startswith("complete ")
    assert completed == ["evaluate", "--overfit", "digits digits-2"]


# Start-up -------------------------------------------------------------------------------------------------------------

HEAVY = {"tensorflow", "keras", "numpy", "sklearn", "matplotlib", "PIL", "h5py", "rich"}
WATCHED = """
import sys
from dlcli.cli import _run
sys.argv[0] = "dlcli"
status = _run()
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["--version"], 0),
        (["trian"], 2),
        (["train", "bad.yaml"], 2),
        (["train", "none.yaml"], 2),
        pytest.param(["train", "good.yaml", "--set", "train.epochs=many"], 2, marks=pytest.mark.slow),
        pytest.param(["train", "good.yaml", "--name", "../x"], 2, marks=pytest.mark.slow),
        pytest.param(["train", "--resume", "none"], 2, marks=pytest.mark.slow),
        (["train", "--extend", "none", "--epochs", "3"], 2),
        (["evaluate"], 2),
        (["predict", "none", "x.png"], 2),
        (["runs", "list"], 0),
        pytest.param(["recipe", "check", "good.yaml"], 0, marks=pytest.mark.slow),
        (["recipe", "show", "good.yaml"], 0),
        (["completion", "bash"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_heavy_libraries_are_not_imported(tmp_path: Path, arguments: list[str], status: int) -> None:
    valid = "task: classification\ndata: {kind: digits}\nmodel: {kind: lenet5}\n"
    (tmp_path / "good.yaml").write_text(valid)
    (tmp_path / "bad.yaml").write_text(f"{valid}epochs: 3\n")
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert "click" in loaded
    assert not loaded & HEAVY
    assert not (tmp_path / "runs").exists()
