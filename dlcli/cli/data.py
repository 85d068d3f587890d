"""``dlcli data``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import Decorator, check_output, json_option, quiet_option, sets_option
from dlcli.cli.output import write_json, write_table
from dlcli.errors import CheckFailed, InputError

PATH = click.Path(path_type=Path)

path_option: Decorator = click.option(
    "--data", "path", metavar="PATH", help="Same as --set data.path=PATH, but relative to this folder."
)


@click.group(short_help="Check, describe, divide and preview data.")
def data() -> None:
    """Check, describe, divide and preview data. Nothing of yours is changed.

    \b
    Examples:
      dlcli data check photos/          # corrupt files, copies, contradicting labels
      dlcli data preview recipe.yaml    # before and after augmentation, as preview.png
      dlcli data stats recipe.yaml      # mean and deviation of each channel
      dlcli data split recipe.yaml      # samples of each class in each split
    """


@data.command(short_help="Look for what is wrong with the data.")
@click.argument("source", metavar="RECIPE|FOLDER", type=PATH)
@sets_option
@path_option
@json_option
@quiet_option
def check(source: Path, sets: tuple[str, ...], path: str | None, as_json: bool, quiet: bool) -> None:
    """Look for what is wrong with the data of a recipe, or of a folder with a folder for each class.

    Files that cannot be read or are named as another format; copies and near copies, within a split and across splits;
    one image or text under two labels; classes that a split lacks; missing values. Exit status 1 when there is a
    problem; notes are no problems.

    \b
    Examples:
      dlcli data check photos/
      dlcli data check recipe.yaml --json
      dlcli data check recipes/mnist_convnet.yaml --data mnist.npz
      dlcli data check recipes/film_reviews.yaml --data reviews/
    """
    if not source.exists():
        raise InputError(f"{source}: no such recipe or folder.")
    if source.is_dir():
        if sets or path is not None:
            raise click.UsageError("--set and --data are for a recipe; a folder has no keys.")
        loaded = None
    elif source.suffix in (".yaml", ".yml"):
        loaded = _load("check", source, sets, path)
    else:
        raise InputError(f"{source}: expected a recipe or a folder of class folders.")
    console = _start(quiet)
    from dlcli.workflow import inspect

    found = inspect.check_folder(source, console) if loaded is None else inspect.check(loaded, console)
    if as_json:
        write_json(found)
    else:
        _write_counts(found["splits"])
        for title, words in (("sizes", "sizes (height x width)"), ("modes", "modes")):
            if found[title]:
                shown = [f"{name} ({count:,})" for name, count in list(found[title].items())[:8]]
                more = f", … ({len(found[title])} in all)" if len(found[title]) > 8 else ""
                click.echo(f"{words}: {', '.join(shown)}{more}")
        for finding in found["findings"]:
            click.echo(f"{'problem' if finding['is_problem'] else 'note'}: {finding['text']}")
    if found["problems"]:
        raise CheckFailed(f"{source}: {found['problems']} problem{'' if found['problems'] == 1 else 's'} found")
    click.echo(f"{source}: no problem found", err=True)


@data.command(short_help="Draw samples before and after augmentation.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@click.option(
    "-o", "--output", type=PATH, default=Path("preview.png"), show_default=True, metavar="FILE.png", help="The image."
)
@click.option("--samples", type=click.IntRange(1, 50), default=6, show_default=True, help="How many samples.")
@click.option("--epochs", type=click.IntRange(1, 10), default=4, show_default=True, help="How many epochs of each.")
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
@quiet_option
def preview(
    recipe: Path,
    sets: tuple[str, ...],
    path: str | None,
    output: Path,
    samples: int,
    epochs: int,
    force: bool,
    quiet: bool,
) -> None:
    """Draw training samples as they are and as the first epochs will have them, with the drawn parameters.

    \b
    Examples:
      dlcli data preview recipe.yaml
      dlcli data preview recipe.yaml --set augment.rotation_range=90 --samples 3 -o turned.png
    """
    loaded = _load("preview", recipe, sets, path)
    check_output(output, (".png",), force=force)
    console = _start(quiet)
    from dlcli.workflow.inspect import preview as work

    if not work(loaded, output, num_samples=samples, num_epochs=epochs, console=console):
        click.echo(f"{recipe}: has no augment section: the samples are shown as they are", err=True)
    click.echo(output)


@data.command(short_help="Mean and standard deviation of channels and features, lengths of sequences.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@json_option
@quiet_option
def stats(recipe: Path, sets: tuple[str, ...], path: str | None, as_json: bool, quiet: bool) -> None:
    """Mean and standard deviation of each channel over the training split, pixels in [0, 255]; of sequences their
    lengths, and the mean and standard deviation of each feature.

    \b
    Examples:
      dlcli data stats recipe.yaml
      dlcli data stats recipe.yaml --data photos/ --json
      dlcli data stats recipes/beijing_pm25.yaml --data pm25.csv
    """
    loaded = _load("stats", recipe, sets, path)
    console = _start(quiet)
    from dlcli.workflow.inspect import stats as work

    found = work(loaded, console)
    if as_json:
        write_json(found)
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in found["samples"].items())
    if "shape" in found:
        shape = "x".join(map(str, found["shape"]))
        click.echo(f"{counts}; {found['classes']} classes; samples of {shape}")
        channels = enumerate(zip(found["mean"], found["std"], strict=True))
        write_table(
            ["channel", "mean", "standard deviation"], [[channel, mean, std] for channel, (mean, std) in channels]
        )
        return
    click.echo(counts)
    _write_by_split(["minimum", "median", "maximum"], found["lengths"])
    _write_by_split(["number", "distinct"], found["texts"])
    if found["features"]:
        features = [[of["name"], of["mean"], of["std"], f"{of['missing']:.1%}"] for of in found["features"]]
        write_table(["feature", "mean", "standard deviation", "missing"], features)


@data.command(short_help="Show how the data are divided.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@click.option("-o", "--output", type=PATH, metavar="FILE.csv", help="Write a row for each sample, for data.kind: csv.")
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
@json_option
@quiet_option
def split(
    recipe: Path,
    sets: tuple[str, ...],
    path: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show how a recipe's data are divided into train, validation and test; no file is moved.

    With --output, a table names the split of every sample. Where samples are files, a recipe with data.kind: csv,
    image: file and split: split trains on the very same division.

    \b
    Examples:
      dlcli data split recipe.yaml
      dlcli data split recipe.yaml --set data.test=0.3 -o split.csv
    """
    loaded = _load("split", recipe, sets, path)
    if output is not None:
        check_output(output, (".csv",), force=force)
    console = _start(quiet)
    from dlcli.workflow.inspect import divide

    counts = divide(loaded, output, console)
    if as_json:
        write_json(counts)
    else:
        _write_counts(counts)
    if output is not None:
        click.echo(f"written to {output}", err=True)


def _write_by_split(columns: list[str], found: dict[str, dict[str, list[int]]]) -> None:
    rows = [[split, unit, *numbers] for split, units in found.items() for unit, numbers in units.items()]
    if rows:
        write_table(["split", "unit", *columns], rows)


def _load(verb: str, recipe: Path, sets: tuple[str, ...], path: str | None) -> Any:
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load
    from dlcli.recipe.support import check_verb

    overrides = [parse_setting(text) for text in sets]
    if path is not None:
        overrides.append(Override.of_value("data.path", str(Path(path).expanduser().absolute()), f"--data {path}"))
    loaded = load(recipe, overrides)
    check_verb(loaded.recipe, loaded.locate("task"), f"data {verb}")
    return loaded


def _start(quiet: bool) -> Any:
    from dlcli.runtime.startup import start_tensorflow

    start_tensorflow("cpu")
    from dlcli.runtime.console import Console

    return Console(quiet=quiet)


def _write_counts(splits: dict[str, dict[str, int]]) -> None:
    names = list(splits)
    classes = list(next(iter(splits.values())))
    rows: list[list[Any]] = [[label, *(splits[name][label] for name in names)] for label in classes]
    if len(classes) == 1:
        write_table(["", *names], rows)
        return
    rows.append(["all", *(sum(splits[name].values()) for name in names)])
    write_table(["class", *names], rows)
