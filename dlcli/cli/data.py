"""``dlcli data``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.data_import import import_
from dlcli.cli.options import (
    Decorator,
    WholeNumberRange,
    check_new_folder,
    check_output,
    complete_runs,
    json_option,
    quiet_option,
    runs_option,
    sets_option,
    shard_size_option,
)
from dlcli.cli.output import say, write_json, write_table
from dlcli.cli.shards import say_shards
from dlcli.errors import CheckFailed, InputError
from dlcli.files import absolute

PATH = click.Path(path_type=Path)
NUM_SUSPECTS = 20  # that are printed
PLURALS = {"class": "classes", "label": "labels", "target": "targets"}

path_option: Decorator = click.option(
    "--data", "path", metavar="PATH", help="Same as --set data.path=PATH, but relative to the current folder."
)


@click.group(short_help="Check, describe, split, preview, pack and import data.")
def data() -> None:
    """Check, describe, split, preview, pack and import data. Your files are never changed.

    \b
    Examples:
      dlcli data check photos/          # corrupt files, duplicates, conflicting labels
      dlcli data preview recipe.yaml    # before and after augmentation, as preview.png
      dlcli data stats recipe.yaml      # mean and standard deviation of each channel
      dlcli data split recipe.yaml      # samples per class and split
      dlcli data pack recipe.yaml -o packed/
      dlcli data import beans/data -o packed/
    """


data.add_command(import_)


@data.command(short_help="Find problems in the data.")
@click.argument("source", metavar="[RECIPE|FOLDER]", required=False, type=PATH)
@sets_option
@path_option
@click.option(
    "--run",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Find labels that are probably wrong instead, by what this run, or the runs of folds, predicted of held-out "
    "samples.",
)
@runs_option
@click.option(
    "--exclude-list",
    "exclude_list",
    type=PATH,
    metavar="FILE.yaml",
    help="Write the value of data.exclude that leaves out copies of images.",
)
@click.option(
    "--plot",
    type=PATH,
    metavar="FILE.png",
    help="Draw the objects of each class and image, and their sizes, by split. For task: detection and "
    "instance_segmentation.",
)
@click.option("--force", is_flag=True, help="Overwrite these files if they exist.")
@json_option
@quiet_option
def check(
    source: Path | None,
    sets: tuple[str, ...],
    path: str | None,
    run: str | None,
    runs: Path,
    exclude_list: Path | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find problems in the data of a recipe, or of a folder: any folder for which `dlcli recipe init` drafts a recipe.

    Reports files that cannot be read or have the wrong extension, duplicates and near duplicates within and across
    splits, the same image or text under two labels, missing values, and what training would refuse. Exit status 1 if
    there is a problem. What training only warns about is a note: a class that validation or test lacks, for example.

    With --exclude-list, write a list to put under data.exclude, which leaves out copies of images: identical ones,
    nearly identical ones, and those that are probably the same. What is in test stays, then what is in validation; of
    two copies in one split the first by name.

    With --run, list the samples of the run's evaluations on test and validation whose labels are probably wrong, the
    most suspicious first, by confident learning. With the folder that train --folds has written, those of all samples
    but the test's. Look at each before you change it.

    \b
    Examples:
      dlcli data check photos/
      dlcli data check photos/ --exclude-list copies.yaml
      dlcli data check --run photos
      dlcli data check --run photos-folds
      dlcli data check recipe.yaml --json
      dlcli data check detection.yaml --plot objects.png
      dlcli data check recipes/mnist_convnet.yaml --data mnist.npz
      dlcli data check recipes/film_reviews.yaml --data reviews/
    """
    if run is not None:
        if source is not None or sets or path is not None or exclude_list is not None or plot is not None:
            raise click.UsageError("--run looks at the predictions of a run. Give no recipe, folder or other option.")
        _check_labels(run, runs, as_json)
        return
    if source is None:
        raise click.UsageError("give a recipe or a folder of data, or --run RUN.")
    if not source.exists():
        raise InputError(f"{source}: no such recipe or folder.")
    if source.is_dir():
        if sets or path is not None:
            raise click.UsageError("--set and --data are for a recipe; a folder has no keys.")
        if plot is not None:
            raise click.UsageError("--plot is for a recipe; dlcli recipe init drafts one for a folder.")
        loaded = None
    elif source.suffix.lower() in (".yaml", ".yml"):
        loaded = _load("check", source, sets, path)
    else:
        raise InputError(f"{source}: expected a recipe or a folder of data.")
    if exclude_list is not None:
        check_output(exclude_list, (".yaml", ".yml"), force=force)
    if plot is not None and loaded is not None:
        from dlcli.recipe.support import check_options

        check_options(loaded.recipe, str(loaded.path), {"--plot"})
        check_output(plot, (".png",), force=force)
    console = _start(quiet)
    from dlcli.workflow import inspect

    report = inspect.check_folder(source, console) if loaded is None else inspect.check(loaded, console)
    if exclude_list is not None:
        _write_exclude_list(report, exclude_list, source)
    if plot is not None and loaded is not None:
        inspect.plot(loaded, plot, console)
    if as_json:
        write_json(report)
    else:
        _write_counts(report["splits"])
        for key, title in (("sizes", "sizes (height x width)"), ("modes", "modes")):
            if report[key]:
                shown = [f"{name} ({count:,})" for name, count in list(report[key].items())[:8]]
                more = f", … ({len(report[key])} in all)" if len(report[key]) > 8 else ""
                say(f"{title}: {', '.join(shown)}{more}")
        for finding in report["findings"]:
            say(f"{'problem' if finding['is_problem'] else 'note'}: {finding['text']}")
    if report["problems"]:
        raise CheckFailed(f"{source}: {report['problems']} problem{'' if report['problems'] == 1 else 's'} found")
    say(f"{source}: no problems found", err=True)


@data.command(short_help="Draw samples before and after augmentation.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("preview.png"),
    show_default=True,
    metavar="FILE.png",
    help="Image file to write.",
)
@click.option(
    "--samples", type=WholeNumberRange(1, 50), default=6, show_default=True, metavar="N", help="Number of samples."
)
@click.option(
    "--epochs",
    type=WholeNumberRange(1, 10),
    default=4,
    show_default=True,
    metavar="N",
    help="Number of epochs shown for each sample.",
)
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
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
    """Draw training samples before augmentation and as augmented in the first epochs, with the sampled parameters.

    \b
    Examples:
      dlcli data preview recipe.yaml
      dlcli data preview recipe.yaml --set augment.rotation_range=90 --samples 3 -o turned.png
    """
    loaded = _load("preview", recipe, sets, path)
    check_output(output, (".png",), force=force)
    console = _start(quiet)
    from dlcli.workflow.inspect import preview as draw_preview

    if not draw_preview(loaded, output, num_samples=samples, num_epochs=epochs, console=console):
        say(f"{recipe}: no augment section; the samples are shown unchanged", err=True)
    say(output)


@data.command(short_help="Show statistics of channels, features and lengths.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@json_option
@quiet_option
def stats(recipe: Path, sets: tuple[str, ...], path: str | None, as_json: bool, quiet: bool) -> None:
    """Show the mean and standard deviation of each channel over the training split, with pixels in [0, 255].

    For sequences, show their lengths and the mean and standard deviation of each feature.

    \b
    Examples:
      dlcli data stats recipe.yaml
      dlcli data stats recipe.yaml --data photos/ --json
      dlcli data stats recipes/beijing_pm25.yaml --data pm25.csv
    """
    loaded = _load("stats", recipe, sets, path)
    console = _start(quiet)
    from dlcli.workflow.inspect import stats as compute_stats

    results = compute_stats(loaded, console)
    if as_json:
        write_json(results)
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in results["samples"].items())
    if "shape" in results:
        shape = "x".join(map(str, results["shape"]))
        targets = results.get("targets")
        noun = "class" if targets is None else "label" if "proportion" in targets[0] else "target"
        num_outputs = f"{results['classes']} {noun if results['classes'] == 1 else PLURALS[noun]}"
        sizes = results.get("sizes")  # of images that are not resized
        if sizes is None:
            samples = f"samples of {shape}"
        elif None in results["shape"]:
            samples = f"images of {sizes}"
        else:
            samples = f"tiles of {shape}; statistics of whole images, {sizes}"
        say(f"{counts}; {num_outputs}; {samples}")
        channels = enumerate(zip(results["mean"], results["std"], strict=True))
        write_table(
            ["channel", "mean", "standard deviation"], [[channel, mean, std] for channel, (mean, std) in channels]
        )
        if targets:
            say("")
            write_table([noun, *list(targets[0])[1:]], [list(row.values()) for row in targets])
        for of_split, counted in results.get("masks", {}).items():
            rows = [
                [label, row["pixels"], f"{row['share']:.2%}", row["images"]]
                for label, row in counted["classes"].items()
            ]
            rows.append(["ignored", counted["ignored"]["pixels"], f"{counted['ignored']['share']:.2%}", ""])
            write_table([f"{of_split}, class", "pixels", "share", "images"], rows, right=(1, 2, 3))
        if "objects" in results:
            _write_objects(results["objects"], results["anchors"])
        return
    say(counts)
    _write_by_split(["minimum", "median", "maximum"], results["lengths"])
    _write_by_split(["number", "distinct"], results["texts"])
    if results["features"]:
        features = [[row["name"], row["mean"], row["std"], f"{row['missing']:.1%}"] for row in results["features"]]
        write_table(["feature", "mean", "standard deviation", "missing"], features)


@data.command(short_help="Show how the data is split.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@click.option(
    "-o", "--output", type=PATH, metavar="FILE.csv", help="Write the split of each sample, for data.kind: csv."
)
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
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
    """Show how a recipe's data is divided into train, validation and test splits. No file is moved.

    With --output, write a table with the split of every sample. If the samples are files, a recipe with data.kind: csv
    (masks, for images with masks), image: file and split: split trains on exactly the same splits.

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
        say(f"written to {output}", err=True)


@data.command(short_help="Pack image files into shards.")
@click.argument("recipe", type=PATH)
@sets_option
@path_option
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to create.")
@shard_size_option
@json_option
@quiet_option
def pack(
    recipe: Path, sets: tuple[str, ...], path: str | None, output: Path, megabytes: int, as_json: bool, quiet: bool
) -> None:
    """Pack the image files of a recipe into shards: tar files that are listed and copied quickly.

    A recipe with data.kind: shards and the folder as data.path trains on exactly the same splits, in the same order,
    to the same model. The images are not changed: a shard contains the bytes of each file in WebDataset's layout, with
    its class (.cls), its labels, numbers, box or objects (.json), and its mask as PNG of the indices of classes
    (.mask.png); shards.csv says where each image is.

    \b
    Examples:
      dlcli data pack recipe.yaml -o packed/
      dlcli data pack recipe.yaml --data photos/ -o packed/ --shard-size 1000
    """
    loaded = _load("pack", recipe, sets, path)
    check_new_folder(output)
    console = _start(quiet)
    from dlcli.workflow.inspect import pack as pack_images

    packed = pack_images(loaded, output, megabytes * 10**6, console)
    if as_json:
        write_json(packed)
        return
    say_shards(packed)


def _check_labels(name: str, runs: Path, as_json: bool) -> None:
    from dlcli.workflow.label_errors import find_label_errors

    report = find_label_errors(runs, name)
    if as_json:
        write_json(report)
        return
    suspects = report["suspects"]
    if suspects:
        rows = [
            [of["file"], of["split"], of["label"], f"{of['p_label']:.4f}", of["suggested"], f"{of['p_suggested']:.4f}"]
            for of in suspects[:NUM_SUSPECTS]
        ]
        write_table(["file", "split", "label", "probability", "suggested", "probability"], rows, right=(3, 5))
    if len(suspects) > NUM_SUSPECTS:
        say(f"{len(suspects) - NUM_SUSPECTS} more (--json lists all)", err=True)
    counts = " and ".join(f"{number:,} {split}" for split, number in report["samples"].items())
    say(f"{report['run']}: {len(suspects):,} of {counts} samples are probably mislabeled ({report['share']:.1%})")
    if list(report["samples"]) == ["test"]:
        say(f"to check those of validation, too: dlcli evaluate {report['run']} --split validation", err=True)


def _write_exclude_list(report: dict[str, Any], output: Path, source: Path) -> None:
    """Write the patterns as an indented JSON list, which is YAML both below ``data.exclude:`` and for ``--set``."""
    import json
    from textwrap import indent

    from dlcli.rundir.writing import replace_file

    if "exclude" not in report:
        raise InputError(f"{source}: --exclude-list is for images, of which copies are looked for.")
    patterns = report["exclude"]
    replace_file(output, indent(json.dumps(patterns, ensure_ascii=False, indent=2), " " * 4) + "\n")
    noun = "1 pattern" if len(patterns) == 1 else f"{len(patterns):,} patterns"
    say(f"{noun} for data.exclude written to {output}", err=True)


def _write_by_split(columns: list[str], splits: dict[str, dict[str, list[int]]]) -> None:
    rows = [[split, unit, *numbers] for split, units in splits.items() for unit, numbers in units.items()]
    if rows:
        write_table(["split", "unit", *columns], rows)


def _write_objects(objects: dict[str, Any], anchors: dict[str, Any] | None) -> None:
    """Print the numbers of objects by class and size, and the anchors that fit the boxes of train."""
    for of_split, found in objects.items():
        rows = [[label, row["objects"], row["images"]] for label, row in found["classes"].items()]
        rows.append(["all", found["objects"], found["images"]])
        write_table([f"{of_split}, class", "objects", "images"], rows, right=(1, 2))
        sizes = ", ".join(f"{number:,} {size}" for size, number in found["sizes"].items())
        marks = "".join(f"; {mark}: {found[mark]:,}" for mark in ("crowds", "difficult") if found[mark])
        say(f"{of_split}: {sizes}; images without objects: {found['negatives']:,}{marks}")
    if anchors is None:
        return
    sides, ratios = (anchors[key] for key in ("sizes_in_input", "ratios_in_input"))
    of_sides = ", ".join(f"{value:.0f} ({name})" for name, value in sides.items())
    of_ratios = ", ".join(f"{value:.2f} ({name})" for name, value in ratios.items())
    say(f"train, in the network's input: square root of area {of_sides} pixels; width / height {of_ratios}")
    keys = ", ".join(f"{key}: {anchors[key]}" for key in ("levels", "anchor_sizes", "anchor_ratios"))
    say(f"anchors that fit: {keys}")
    fit = f"{anchors['mean_iou']:.2f} on average; {anchors['fitting']:.1%} by 0.5 or more"
    say(f"  the shapes of the training boxes overlap with their best anchor by {fit}")


def _load(verb: str, recipe: Path, sets: tuple[str, ...], path: str | None) -> Any:
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load
    from dlcli.recipe.support import check_verb

    overrides = [parse_setting(text) for text in sets]
    if path is not None:
        overrides.append(Override.of_value("data.path", absolute(path), f"--data {path}"))
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
