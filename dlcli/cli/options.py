"""Options shared by several verbs."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dlcli.errors import InputError
from dlcli.files import check_replaceable
from dlcli.printing import escaped_line

Decorator = Callable[[Any], Any]


class Utf8(click.ParamType[str]):
    """Text from the command line; rejects bytes that are not UTF-8, which Python carries as lone surrogates."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode("utf-8")
        except UnicodeEncodeError as error:
            received = os.fsencode(value[error.start])[:1].hex()
            self.fail(f"must be UTF-8 text. Received byte 0x{received}.", param, ctx)
        return str(value)


class WholeNumberRange(click.IntRange):
    """A whole number in a range."""

    name = "whole number"  # in the message about a text that is none


class NumberRange(click.FloatRange):
    """A number in a range, which NaN is not: Click compares it, and finds it neither too small nor too large."""

    name = "number"  # in the message about a text that is none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{number} is not in the range {self._describe_range()}.", param, ctx)
        return number


runs_option: Decorator = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    metavar="DIR",
    help="Folder that contains the runs.",
)

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")

sets_option: Decorator = click.option(
    "-s", "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a recipe key; repeatable."
)

shard_size_option: Decorator = click.option(
    "--shard-size",
    "megabytes",
    type=WholeNumberRange(1, 100_000),
    default=256,
    show_default=True,
    metavar="MB",
    help="Size of a shard, in millions of bytes.",
)

split_option: Decorator = click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Split to use. Default: test, or validation if there is no test split.",
)

other_data_option: Decorator = click.option(
    "--data",
    metavar="PATH|URL",
    help="Other data with the same labels: a recipe, a folder of class folders, a .csv or .npz file; for boxes, a "
    "Pascal VOC or YOLO folder, a COCO .json, a .csv or .npz file; a folder of shards, or its URL; for text and "
    "series, a file like the training data.",
)

beam_option: Decorator = click.option(
    "--beam",
    type=WholeNumberRange(1, 100),
    default=1,
    show_default=True,
    metavar="N",
    help="Beam width of decoding; 1 is greedy (sequence-to-sequence models).",
)

copy_unknown_option: Decorator = click.option(
    "--copy-unknown",
    is_flag=True,
    help="Copy words that the model does not know from the source text, by attention (sequence-to-sequence models).",
)

safe_csv_option: Decorator = click.option(
    "--safe-csv",
    is_flag=True,
    help="Put an apostrophe before text in .csv files that a spreadsheet would read as a formula.",
)

quiet_option: Decorator = click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors on stderr.")

allow_code_option: Decorator = click.option(
    "--allow-code",
    is_flag=True,
    expose_value=False,
    help="Execute the Python file that model.kind: python names. Only for code that you trust.",
    callback=lambda ctx, param, value: _allow_code(ctx) if value else None,
)


def _allow_code(context: click.Context) -> None:
    from dlcli.runtime.user_code import allowed_code

    context.with_resource(allowed_code())


device_option: Decorator = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu|gpu:N",
    help="Device to compute on. auto uses a GPU if there is one; gpu and gpu:N fail if it is not available.",
    callback=lambda ctx, param, value: check_device(value, takes_several=False),
    shell_complete=lambda ctx, param, incomplete: [d for d in ("auto", "cpu", "gpu") if d.startswith(incomplete)],
)
devices_option: Decorator = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu|gpu:N|gpu:N,M|gpu:all|cpu:xN",
    help="""Device to compute on. auto uses a GPU if there is one; gpu and gpu:N fail if it is not available. With
    gpu:0,1 or gpu:all, each GPU computes a share of every batch; cpu:x2 does the same on two virtual CPUs, to see how
    it works.""",
    callback=lambda ctx, param, value: check_device(value, takes_several=True),
    shell_complete=lambda ctx, param, incomplete: [
        d for d in ("auto", "cpu", "gpu", "gpu:all", "cpu:x2") if d.startswith(incomplete)
    ],
)


def check_device(value: str, *, takes_several: bool) -> str:
    """Check a value of ``--device``, and return it.

    Raises:
        BadParameter: it has no known form, or names several devices where one is used.
    """
    from dlcli.runtime.devices import parse_device

    try:
        requested = parse_device(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}. Received '{value}'.") from None
    if requested.is_several and not takes_several:
        raise click.BadParameter(f"this command uses one device. Received '{value}'.")
    return value


def check_run(run: Any, verb: str, options: Mapping[str, bool] | None = None) -> Any:
    """Reject a verb or an option that the run's task does not support, before TensorFlow is imported.

    Args:
        run: the run directory.
        options: whether each option, such as ``--beam``, is given.

    Returns:
        The run's recipe.

    Raises:
        InputError: gives the reason and what to do instead.
    """
    from dlcli.recipe.load import load
    from dlcli.recipe.support import check_options, check_verb

    recipe = load(run.config).recipe
    check_verb(recipe, str(run.path), verb)
    check_options(recipe, str(run.path), {option for option, is_given in (options or {}).items() if is_given})
    return recipe


def check_output(output: Path, suffixes: tuple[str, ...], *, force: bool) -> None:
    """Reject an output that is a link, pipe or device, has another suffix, already exists, or has no parent folder.

    What killed processes left in that folder is removed.

    Raises:
        InputError: names the file and the remedy.
    """
    from dlcli.temporary import remove_leftovers

    check_replaceable(output)
    if output.suffix.lower() not in suffixes:
        raise InputError(f"{output}: expected a file name ending in {' or '.join(suffixes)}.")
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Choose another name.")
    if output.exists() and not force:
        raise InputError(f"{output}: already exists. Choose another name, or use --force to replace it.")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder to write {output.name} to.")
    remove_leftovers(output.parent)


def check_new_folder(folder: Path) -> None:
    """Reject a folder to be created that already exists or has no parent folder, and remove leftovers beside it.

    Raises:
        InputError: names the folder and the remedy.
    """
    from dlcli.temporary import remove_leftovers

    if os.path.lexists(folder):
        raise InputError(f"{folder}: already exists. Choose another name, or remove it first.")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder.parent}: no such folder to create {folder.name} in.")
    remove_leftovers(folder.absolute().parent)


def run_argument(*, required: bool) -> Decorator:
    """The argument RUN: a name under --runs or the path of a run directory, with shell completion."""
    return click.argument("run", required=required, shell_complete=complete_runs)


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of the runs that start with ``incomplete``."""
    return complete_names(ctx, incomplete, ("run",))


def complete_runs_and_studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of the runs, searches and sweeps that start with ``incomplete``."""
    return complete_names(ctx, incomplete, ("run", "search", "sweep"))


def complete_names(ctx: click.Context, incomplete: str, kinds: Sequence[str]) -> list[str]:
    """The names of the directories with a file run.json, search.json or sweep.json that start with ``incomplete``.

    Args:
        kinds: which of these files.
    """
    runs = Path(ctx.params.get("runs") or "runs")
    if not runs.is_dir():
        return []
    names = (path.parent.name for kind in kinds for path in runs.glob(f"*/{kind}.json"))
    return sorted(name for name in names if name.startswith(incomplete) and escaped_line(name) == name)
