"""``dlcli summary``."""

import re
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import complete_runs, quiet_option, runs_option, sets_option
from dlcli.cli.output import write_json, write_markdown
from dlcli.errors import InputError


@click.command(short_help="Show what each layer of a network holds and costs.")
@click.argument("source", metavar="RECIPE|RUN|MODEL.keras", required=False, shell_complete=complete_runs)
@sets_option
@click.option(
    "--input", "shape", metavar="HxWxC", help="Take samples of this shape, and do not read the recipe's data."
)
@click.option(
    "--classes", type=click.IntRange(min=2, max=10**7), metavar="N", help="Number of classes, beside --input."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1, max=10**7),
    metavar="N",
    help="Batch for the memory to train. Default: the recipe's; 32 for a model file.",
)
@runs_option
@click.option("--csv", "as_csv", is_flag=True, help="Write a row for each layer to stdout as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Write all of it to stdout as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Write the table to stdout as Markdown.")
@quiet_option
def summary(source: str | None, runs: Path, **options: Any) -> None:
    """Show what each layer puts out, holds and costs, how much of the input it sees, and the memory to train.

    For a recipe, a run (default: the newest) or any Keras model file. Nothing is trained or written.

    \b
    Examples:
      dlcli summary recipes/cifar10_resnet20.yaml
      dlcli summary recipe.yaml --input 224x224x3 --classes 1000 -s 'model={kind: resnet, depth: 50}'
      dlcli summary runs/digits_convnet --markdown
      dlcli summary model.keras --csv > layers.csv
    """
    formats = [name for name in ("csv", "json", "markdown") if options[f"as_{name}"]]
    if len(formats) > 1:
        raise click.UsageError(f"{' and '.join(f'--{name}' for name in formats)} cannot stand together.")
    found = _summarize(source, runs, options)
    if options["as_json"]:
        write_json(found.as_dict())
    elif options["as_csv"]:
        click.echo(found.csv(), nl=False)
    elif options["as_markdown"]:
        header, *rows = found.rows()
        write_markdown(header, rows, num_text_columns=3)
    else:
        click.echo(found.text(), nl=False)


def _summarize(source: str | None, runs: Path, options: dict[str, Any]) -> Any:
    from dlcli.runtime.startup import start_tensorflow

    suffix = "" if source is None else Path(source).suffix
    is_recipe = suffix in (".yaml", ".yml")
    for name, option in (("sets", "--set"), ("shape", "--input"), ("classes", "--classes")):
        if options[name] and not is_recipe:
            raise click.UsageError(f"{option} is for a recipe; a trained network is what it is.")
    if (options["shape"] is None) != (options["classes"] is None):
        raise click.UsageError("--input and --classes go together: both are read from the data otherwise.")
    batch_size = options["batch_size"]
    if source is not None and is_recipe:
        from dlcli.recipe.language.overrides import parse_setting
        from dlcli.recipe.load import load
        from dlcli.recipe.support import check_options

        shape = None if options["shape"] is None else _shape(options["shape"])
        loaded = load(Path(source), [parse_setting(text) for text in options["sets"]])
        if shape is not None:
            check_options(loaded.recipe, str(loaded.path), ["--input"])
        start_tensorflow("cpu")
        from dlcli.runtime.console import Console
        from dlcli.workflow.summary import SampleShape, of_recipe

        console = Console(quiet=options["quiet"])
        return of_recipe(
            loaded,
            runs=runs,
            assumed=None if shape is None else SampleShape(shape, options["classes"]),
            batch_size=batch_size,
            console=console,
        )
    if source is not None and suffix in (".keras", ".h5", ".hdf5"):
        if suffix != ".keras":
            raise InputError(f"{source}: whole models are read from .keras files only, which cannot hold code.")
        if not Path(source).exists():
            raise InputError(f"{source}: no such file.")
        start_tensorflow("cpu")
        from dlcli.workflow.summary import of_file

        return of_file(Path(source), batch_size=batch_size)
    from dlcli.rundir import find_run

    if source is not None and Path(source).is_file():
        raise InputError(f"{source}: expected a recipe (.yaml), the folder of a run, or a model (.keras).")
    run = find_run(runs, source)
    start_tensorflow("cpu")
    from dlcli.workflow.summary import of_run

    return of_run(run, batch_size=batch_size)


def _shape(text: str) -> tuple[int, ...]:
    sides = text.lower().split("x")
    if not all(re.fullmatch("[1-9][0-9]{0,4}", side) for side in sides) or len(sides) not in (2, 3, 4):
        raise click.BadParameter(
            f"expected sides and channels of 1 to 99,999, such as 224x224x3. Received '{text}'.", param_hint="--input"
        )
    return tuple(int(side) for side in sides)
