"""Options that several verbs share."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from dlcli.errors import InputError

Decorator = Callable[[Any], Any]


class Utf8(click.ParamType[str]):
    """Text of the command line; bytes that are no UTF-8, which Python carries as lone surrogates, are refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode("utf-8")
        except UnicodeEncodeError as error:
            received = os.fsencode(value[error.start])[:1].hex()
            self.fail(f"must be UTF-8 text. Received byte 0x{received}.", param, ctx)
        return str(value)


runs_option: Decorator = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    metavar="DIR",
    help="Folder that holds the runs.",
)

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Write the results to stdout as JSON.")

sets_option: Decorator = click.option(
    "-s", "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe."
)

split_option: Decorator = click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Part of the data. Default: test, or validation where there is none.",
)

other_data_option: Decorator = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Other data with the same labels: a recipe's, a folder of class folders, a .csv or an .npz; with boxes a "
    "folder of Pascal VOC, a .json of COCO, a .csv or an .npz; of texts and series a file like that of training.",
)

beam_option: Decorator = click.option(
    "--beam",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Beginnings of answers kept at each step (models that answer texts by texts).",
)

quiet_option: Decorator = click.option(
    "-q", "--quiet", is_flag=True, help="Say nothing on stderr but warnings and errors."
)

device_option: Decorator = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu|gpu:N",
    help="What to compute on; auto takes a GPU where there is one, a demanded GPU that is not there is an error.",
    callback=lambda ctx, param, value: _check_device(value),
    shell_complete=lambda ctx, param, incomplete: [d for d in ("auto", "cpu", "gpu") if d.startswith(incomplete)],
)


def _check_device(value: str) -> str:
    number = value.removeprefix("gpu:")
    if value in ("auto", "cpu", "gpu") or (number != value and number.isascii() and number.isdigit()):
        return value
    raise click.BadParameter(f"expected auto, cpu, gpu or gpu:N. Received '{value}'.")


def check_run(run: Any, verb: str, options: Mapping[str, bool] | None = None) -> None:
    """Refuses a verb or an option that the task of a run does not support, before TensorFlow is imported.

    Args:
        run: the run's directory.
        options: for each option, such as ``--beam``, whether it is given.

    Raises:
        InputError: says why, and what to do instead.
    """
    from dlcli.recipe.load import load
    from dlcli.recipe.support import check_options, check_verb

    recipe = load(run.config).recipe
    check_verb(recipe, str(run.path), verb)
    check_options(recipe, str(run.path), {option for option, is_given in (options or {}).items() if is_given})


def check_output(output: Path, suffixes: tuple[str, ...], *, force: bool) -> None:
    """Refuses a file to write that has another suffix, exists already, or has no folder.

    Raises:
        InputError: names the file and the remedy.
    """
    if output.suffix.lower() not in suffixes:
        raise InputError(f"{output}: expected a name that ends in {' or '.join(suffixes)}.")
    if output.exists() and not force:
        raise InputError(f"{output}: already exists. Choose another name, or use --force to replace it.")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder to write {output.name} to.")


def run_argument(*, required: bool) -> Decorator:
    """The argument RUN: a name under --runs or a path of a run's folder, completed by the shell."""
    return click.argument("run", required=required, shell_complete=complete_runs)


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The runs whose names begin so."""
    runs = Path(ctx.params.get("runs") or "runs")
    if not runs.is_dir():
        return []
    return sorted(path.parent.name for path in runs.glob("*/run.json") if path.parent.name.startswith(incomplete))
