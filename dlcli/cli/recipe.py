"""``dlcli recipe``: check, show and draft recipes, print their JSON Schema, and verify their headers."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import sets_option
from dlcli.cli.output import say, write_json
from dlcli.cli.recipe_verify import verify
from dlcli.errors import InputError

RECIPE = click.Path(path_type=Path)


@click.group(short_help="Check, show and draft recipes.")
def recipe() -> None:
    """Check, show and draft recipes.

    \b
    Examples:
      dlcli recipe init photos                 # inspect a folder, write photos.yaml
      dlcli recipe check photos.yaml           # all errors at once, with line and column
      dlcli recipe show photos.yaml            # every key, defaults filled in
      dlcli recipe schema > schema.json        # for editors
      dlcli recipe verify recipe.yaml          # train again, compare with its header
    """


recipe.add_command(verify)


@recipe.command(short_help="Check recipes for errors.")
@click.argument("recipes", metavar="RECIPE...", nargs=-1, required=True, type=RECIPE)
@sets_option
@click.option("--json", "as_json", is_flag=True, help="Print a list of files and errors as JSON.")
@click.pass_context
def check(ctx: click.Context, recipes: tuple[Path, ...], sets: tuple[str, ...], as_json: bool) -> None:
    """Check recipes without reading their data. Exit status 2 if one is invalid.

    \b
    Examples:
      dlcli recipe check recipe.yaml
      dlcli recipe check recipes/*.yaml --json
      dlcli recipe check recipe.yaml --set data.image_size=224 --set train.epochs=5
    """
    from dlcli.recipe.language.overrides import parse_setting
    from dlcli.recipe.load import load

    overrides = [parse_setting(setting) for setting in sets]
    errors: dict[Path, InputError] = {}
    for path in recipes:
        try:
            load(path, overrides)
        except InputError as error:
            errors[path] = error
        if not as_json and path not in errors:
            say(f"{path}: ok")
    if as_json:
        write_json([_report(path, errors.get(path)) for path in recipes])
        ctx.exit(2 if errors else 0)
    if errors:
        raise InputError("\n".join(str(error) for error in errors.values()))


def _report(path: Path, error: InputError | None) -> dict[str, Any]:
    """The report of ``check --json`` on one file. A file that cannot be read has one error without a location."""
    from dlcli.recipe.language.errors import RecipeError

    diagnostics: list[dict[str, Any]] = []
    if isinstance(error, RecipeError):
        for diagnostic in error.diagnostics:
            place = {"line": diagnostic.place.line, "column": diagnostic.place.column}
            diagnostics.append({**place, "key": diagnostic.key, "message": diagnostic.message})
    elif error is not None:
        diagnostics.append({"line": None, "column": None, "key": "", "message": str(error).removeprefix(f"{path}: ")})
    return {"recipe": str(path), "ok": error is None, "errors": diagnostics}


@recipe.command(short_help="Show a recipe with all defaults.")
@click.argument("path", metavar="RECIPE", type=RECIPE)
@sets_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
def show(path: Path, sets: tuple[str, ...], as_json: bool) -> None:
    """Show a recipe with every default filled in and absolute paths, as a run saves it.

    \b
    Examples:
      dlcli recipe show recipe.yaml
      dlcli recipe show recipe.yaml --set train.epochs=5 --set model.blocks.0.filters=64
      dlcli recipe show recipe.yaml --json
    """
    from dlcli.recipe.language.overrides import parse_setting
    from dlcli.recipe.load import load
    from dlcli.recipe.yaml_writer import resolved, to_yaml

    values = resolved(load(path, [parse_setting(setting) for setting in sets]).recipe)
    if as_json:
        write_json(values)
    else:
        say(to_yaml(values), nl=False)


@recipe.command(short_help="Print the JSON Schema for editors.")
def schema() -> None:
    """Print the JSON Schema of recipes (draft 2020-12), which editors use to complete and check them.

    \b
    Example for the YAML language server; the comment goes in a recipe's first line:
      dlcli recipe schema > schema.json
      # yaml-language-server: $schema=schema.json
    """
    from dlcli.recipe.json_schema import schema_text

    say(schema_text(), nl=False)


@recipe.command(short_help="Draft a recipe for a folder or file of data.")
@click.argument("data", metavar="[DATA]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--example",
    metavar="NAME",
    help="Copy a recipe that ships with dlcli, such as digits_convnet, instead of drafting one.",
    shell_complete=lambda ctx, param, incomplete: _examples(incomplete),
)
@click.option(
    "-o",
    "--output",
    type=RECIPE,
    metavar="FILE",
    help="File to write. Default: the name of DATA or of the example with .yaml, in the current folder.",
)
@click.option(
    "--task",
    type=click.Choice(("localization", "detection", "instance_segmentation", "segmentation")),
    help="What to predict of images with boxes or masks: one object of each image, or all; all with their masks; or "
    "the class of each pixel. Default: detection if an image has several boxes; instance_segmentation of masks with a "
    "value for each object, segmentation of others.",
)
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
def init(data: Path | None, example: str | None, output: Path | None, task: Any, force: bool) -> None:
    """Inspect DATA and write a recipe for it, with a comment on each line; or copy an example.

    For images, DATA is a folder with one subfolder per class (or with train, validation and test folders of these, also
    called training_set, valid, dev or Testing); images with boxes as Pascal VOC, COCO or YOLO with a data.yaml; an .npz
    file with arrays x_train and y_train; or a .csv file with one row per image (its class, labels or numbers) or box.
    For text and series, it is a folder with one file per class, or a folder of files; a table with a text and a class,
    a pair of texts, or a time and numbers in each row; or a .txt, .conllu, .ts, .tsf or .jsonl file. A README and the
    like beside the data is ignored.

    \b
    Examples:
      dlcli recipe init photos
      dlcli recipe init photos/labels.csv --output recipes/photos.yaml
      dlcli recipe init raccoons --task localization
      dlcli recipe init coco.json --task instance_segmentation
      dlcli recipe init reviews.csv
      dlcli recipe init shakespeare.txt
      dlcli recipe init --example digits_convnet
    """
    from dlcli.workflow.init import copy_example
    from dlcli.workflow.init import init as draft

    if example is not None:
        if data is not None or task is not None:
            raise click.UsageError(f"--example copies a recipe; {'DATA' if data is not None else '--task'} has no use.")
        say(copy_example(example, output, force=force))
        return
    if data is None:
        raise click.UsageError("Specify what to draft a recipe for: DATA, or --example NAME to copy one that ships.")
    target, description = draft(data, output, task=task, force=force)
    for line in description:
        say(line, err=True)
    say(target)


def _examples(incomplete: str) -> list[str]:
    """The names of recipes that ship, which start with ``incomplete``."""
    from dlcli.workflow.init import examples

    return [name for name in examples() if name.startswith(incomplete)]
