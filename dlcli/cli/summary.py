"""``dlcli summary``."""

import re
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    WholeNumberRange,
    allow_code_option,
    check_output,
    complete_runs,
    quiet_option,
    runs_option,
    sets_option,
)
from dlcli.cli.output import say, write_json, write_markdown
from dlcli.errors import InputError


@click.command(short_help="Show the layers, parameters and cost of a network.")
@click.argument("source", metavar="[RECIPE|RUN|MODEL.keras]", required=False, shell_complete=complete_runs)
@sets_option
@click.option(
    "--input", "shape", metavar="HxWxC", help="Assume samples of this shape instead of reading the recipe's data."
)
@click.option(
    "--classes", type=WholeNumberRange(min=2, max=10**7), metavar="N", help="Number of classes; required with --input."
)
@click.option(
    "--batch-size",
    type=WholeNumberRange(min=1, max=10**7),
    metavar="N",
    help="Batch size for the training memory. Default: the recipe's; 32 for a model file.",
)
@click.option(
    "--unfold",
    is_flag=True,
    help="Show a recurrent network unfolded in time instead, with the weights its steps share.",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw the graph of --unfold, too.")
@click.option("--force", is_flag=True, help="Overwrite this file if it exists.")
@runs_option
@allow_code_option
@click.option("--csv", "as_csv", is_flag=True, help="Print a row for each layer as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
@quiet_option
def summary(source: str | None, runs: Path, **options: Any) -> None:
    """Show the output shape, parameters, cost and receptive field of each layer, and the memory that training takes.

    Works for a recipe, a run (default: the newest run) or any Keras model file. Nothing is trained, and nothing is
    written but the FILE of --plot.

    \b
    Examples:
      dlcli summary recipes/cifar10_resnet20.yaml
      dlcli summary recipe.yaml --input 224x224x3 --classes 1000 -s 'model={kind: resnet, depth: 50}'
      dlcli summary runs/digits_convnet --markdown
      dlcli summary model.keras --csv > layers.csv
      dlcli summary recipes/adding_lstm.yaml --unfold --plot unfolded.png
    """
    formats = [name for name in ("csv", "json", "markdown") if options[f"as_{name}"]]
    if len(formats) > 1:
        raise click.UsageError(f"{' and '.join(f'--{name}' for name in formats)} cannot be combined.")
    plot = options["plot"]
    if plot is not None:
        if not options["unfold"]:
            raise click.UsageError("--plot draws the graph of --unfold. Give both.")
        check_output(plot, (".png",), force=options["force"])
    if options["unfold"] and options["batch_size"] is not None:
        raise click.UsageError("--batch-size is for the training memory, which --unfold does not show.")
    result = _summarize(source, runs, options)
    if options["unfold"]:
        from dlcli.workflow.unfold import unfolded

        result = unfolded(result)
        if plot is not None:
            result.draw(plot)
    if options["as_json"]:
        write_json(result.as_dict())
    elif options["as_csv"]:
        say(result.csv(), nl=False)
    elif options["as_markdown"]:
        header, *rows = result.rows()
        write_markdown(header, rows, num_text_columns=result.num_text_columns)
    else:
        say(result.text(), nl=False)


def _summarize(source: str | None, runs: Path, options: dict[str, Any]) -> Any:
    from dlcli.runtime.startup import start_tensorflow

    suffix = "" if source is None else Path(source).suffix
    is_recipe = suffix in (".yaml", ".yml")
    for name, option in (("sets", "--set"), ("shape", "--input"), ("classes", "--classes")):
        if options[name] and not is_recipe:
            raise click.UsageError(f"{option} is for a recipe; a trained network cannot be changed.")
    if (options["shape"] is None) != (options["classes"] is None):
        raise click.UsageError(
            "--input and --classes must be given together; without them, both are read from the data."
        )
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
            raise InputError(f"{source}: whole models are loaded only from .keras files, which cannot contain code.")
        if not Path(source).exists():
            raise InputError(f"{source}: no such file.")
        start_tensorflow("cpu")
        from dlcli.workflow.summary import of_file

        return of_file(Path(source), batch_size=batch_size)
    from dlcli.rundir.runs import find_run

    if source is not None and Path(source).is_file():
        raise InputError(f"{source}: expected a recipe (.yaml), a run directory or a model (.keras).")
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
