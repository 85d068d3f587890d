"""``dlcli recipe``: checks recipes, shows them with their defaults, drafts them, and prints their JSON Schema."""

import json
from pathlib import Path
from typing import Any

import click

from dlcli.errors import InputError

RECIPE = click.Path(path_type=Path)


@click.group(short_help="Check, show and draft recipes.")
def recipe() -> None:
    """Check, show and draft recipes.

    \b
    Examples:
      dlcli recipe init photos                 # look at a folder, write photos.yaml
      dlcli recipe check photos.yaml           # all the errors at once, with line and column
      dlcli recipe show photos.yaml            # every key, defaults filled in
      dlcli recipe schema > schema.json        # for editors
    """


@recipe.command(short_help="Find the errors of recipes.")
@click.argument("recipes", metavar="RECIPE...", nargs=-1, required=True, type=RECIPE)
@click.option("--json", "as_json", is_flag=True, help="Write a list of files and errors to stdout.")
@click.pass_context
def check(ctx: click.Context, recipes: tuple[Path, ...], as_json: bool) -> None:
    """Check recipes without looking at their data. Exit status 2 where one is not valid.

    \b
    Examples:
      dlcli recipe check recipe.yaml
      dlcli recipe check recipes/*.yaml --json
    """
    from dlcli.recipe.load import load

    errors: dict[Path, InputError] = {}
    for path in recipes:
        try:
            load(path)
        except InputError as error:
            errors[path] = error
        if not as_json and path not in errors:
            click.echo(f"{path}: ok")
    if as_json:
        click.echo(json.dumps([_report(path, errors.get(path)) for path in recipes], indent=2, ensure_ascii=False))
        ctx.exit(2 if errors else 0)
    if errors:
        raise InputError("\n".join(str(error) for error in errors.values()))


def _report(path: Path, error: InputError | None) -> dict[str, Any]:
    """What ``check --json`` says of one file. A file that cannot be read has one error without a place."""
    from dlcli.recipe.language.errors import RecipeError

    diagnostics: list[dict[str, Any]] = []
    if isinstance(error, RecipeError):
        for diagnostic in error.diagnostics:
            place = {"line": diagnostic.place.line, "column": diagnostic.place.column}
            diagnostics.append({**place, "key": diagnostic.key, "message": diagnostic.message})
    elif error is not None:
        diagnostics.append({"line": None, "column": None, "key": "", "message": str(error).removeprefix(f"{path}: ")})
    return {"recipe": str(path), "ok": error is None, "errors": diagnostics}


@recipe.command(short_help="Fill in every default.")
@click.argument("path", metavar="RECIPE", type=RECIPE)
@click.option("-s", "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Override a key. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of YAML.")
def show(path: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Show a recipe with every default filled in and paths absolute, as a run keeps it.

    \b
    Examples:
      dlcli recipe show recipe.yaml
      dlcli recipe show recipe.yaml --set train.epochs=5 --set model.blocks.0.filters=64
      dlcli recipe show recipe.yaml --json
    """
    from dlcli.recipe.language.overrides import parse_setting
    from dlcli.recipe.load import load
    from dlcli.recipe.yaml_writer import resolved, to_yaml

    values = resolved(load(path, [parse_setting(setting) for setting in settings]).recipe)
    if as_json:
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(to_yaml(values), nl=False)


@recipe.command(short_help="Print the JSON Schema, for editors.")
def schema() -> None:
    """Print the JSON Schema of recipes (draft 2020-12), by which editors complete and check them.

    \b
    Example, for editors with the YAML language server; the first line of a recipe names the file:
      dlcli recipe schema > schema.json
      # yaml-language-server: $schema=schema.json
    """
    from dlcli.recipe.json_schema import schema_text

    click.echo(schema_text(), nl=False)


@recipe.command(short_help="Draft a recipe for a folder or file of data.")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=RECIPE, metavar="FILE", help="Where to write it. Default: DATA's name with .yaml, here."
)
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
def init(data: Path, output: Path | None, force: bool) -> None:
    """Look at DATA and write a recipe for it, with a comment on each line.

    DATA is a folder with a folder of images for each class (or with train, validation and test folders of these), an
    .npz file with arrays x_train and y_train, or a .csv file with a row for each image. For texts and series: a
    folder with a file for each class, or a folder of files; a table with a text and a class, a pair of texts, or the
    time and numbers in each row; a .txt file, a .conllu, a .ts or a .jsonl file.

    \b
    Examples:
      dlcli recipe init photos
      dlcli recipe init photos/labels.csv --output recipes/photos.yaml
      dlcli recipe init reviews.csv
      dlcli recipe init shakespeare.txt
    """
    from dlcli.workflow.init import init as work

    target, seen = work(data, output, force=force)
    for line in seen:
        click.echo(line, err=True)
    click.echo(target)
