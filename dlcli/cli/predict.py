"""``dlcli predict``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from dlcli.cli.options import (
    NumberRange,
    Utf8,
    WholeNumberRange,
    beam_option,
    check_output,
    check_run,
    copy_unknown_option,
    devices_option,
    json_option,
    quiet_option,
    run_argument,
    runs_option,
    safe_csv_option,
)
from dlcli.cli.output import say, write_json, write_json_line, write_row, write_table
from dlcli.cli.paths import expanded

MOST_AREAS = 4  # classes of an image that are shown; --output and --json have all
WIDEST_TEXT = 80  # characters of a text that a table shows


@click.command(short_help="Predict with a trained model.")
@run_argument(required=True)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--text",
    "texts",
    type=Utf8(),
    multiple=True,
    metavar="TEXT",
    help="Text to predict; repeatable (text models).",
)
@click.option(
    "--top",
    type=WholeNumberRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Number of classes to show for each sample.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write all probabilities to this .csv, .json or .npz file; for segmentation, the area of each class; "
    "for detection and instance segmentation, the objects, in a .json with their masks.",
)
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the images with their boxes or masks to this new folder (localization, detection, segmentation, "
    "instance segmentation).",
)
@click.option(
    "--masks",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the masks to this new folder, as PNG files whose values are classes (segmentation) or numbers of "
    "objects (instance segmentation).",
)
@click.option(
    "--pixel-size",
    type=NumberRange(min=0, min_open=True),
    metavar="SIZE",
    help="Length of a pixel's side, such as 0.25 micrometers: areas are also given in its square (segmentation, "
    "instance segmentation).",
)
@click.option(
    "--score",
    type=NumberRange(min=0, max=1),
    metavar="S",
    help="Lowest score of an object that is shown. Default: the one with the best F1 on the validation split "
    "(detection, instance segmentation).",
)
@click.option(
    "--crops",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the part of an image in each object's box to this new folder (detection, instance segmentation).",
)
@beam_option
@copy_unknown_option
@safe_csv_option
@click.option("--force", is_flag=True, help="Overwrite the --output file if it exists.")
@runs_option
@devices_option
@json_option
@quiet_option
def predict(
    run: str,
    paths: tuple[str, ...],
    texts: tuple[str, ...],
    top: int,
    output: Path | None,
    force: bool,
    draw: Path | None,
    masks: Path | None,
    pixel_size: float | None,
    score: float | None,
    crops: Path | None,
    beam: int,
    copy_unknown: bool,
    safe_csv: bool,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict with the best model of RUN.

    Each PATH is an image, a folder of images, an .npz file, or - for an image's bytes on stdin; for text and series
    models, a text file with one sample per line, a table (.csv, .tsv, .jsonl) with one sample per row, or - for the
    lines of stdin, each of which is predicted as it arrives: with --json, a line of JSON for each. A series is then a
    JSON list, [1.5, 2] or [[1.5, 0], [2, 1]] with the features of each step. A pattern that the shell has not expanded,
    such as 'photos/**/*.jpg', stands for the files that match.

    \b
    Examples:
      dlcli predict digits_convnet scan.png
      dlcli predict runs/flowers photos/ --top 5 --output flowers.csv
      dlcli predict runs/flowers photos/ --json
      dlcli predict raccoons photos/ --draw found/
      dlcli predict cells slides/ --masks masks/ --pixel-size 0.25 --output areas.csv
      dlcli predict fruit photos/ --score 0.5 --crops crops/ --output found.csv
      dlcli predict pedestrians streets/ --draw found/ --masks ids/ --output found.json
      dlcli predict reviews new.txt --top 1
      dlcli predict names --text Rossi --text Müller
      dlcli predict translator --text "good morning" --beam 5
      cut -f2 mails.tsv | dlcli predict spam - --json
      tail -f messages.log | dlcli predict alarms -
      curl -s https://example.org/cat.jpg | dlcli predict runs/pets -

    Images are resized as in training; boxes and masks are in pixels of the upright image. Images that cannot be read
    are named and skipped.
    """
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow

    if not paths and not texts:
        raise click.UsageError("Specify what to predict: a PATH, or --text for a text model.")
    if "" in paths:
        raise click.UsageError("A PATH must not be empty. Use . for the current folder.")
    files = expanded(paths)
    if safe_csv and (output is None or output.suffix.lower() != ".csv"):
        raise click.UsageError("--safe-csv is for --output FILE.csv.")
    run_dir = find_run(runs, run)
    is_top_given = click.get_current_context().get_parameter_source("top") is click.core.ParameterSource.COMMANDLINE
    given = {
        "--beam": beam != 1,
        "--copy-unknown": copy_unknown,
        "--crops": crops is not None,
        "--draw": draw is not None,
        "--masks": masks is not None,
        "--pixel-size": pixel_size is not None,
        "--output FILE.npz": output is not None and output.suffix.lower() == ".npz",
        "--score": score is not None,
        "--text": bool(texts),
        "--top": is_top_given,
    }
    recipe = check_run(run_dir, "predict", given)
    if output is not None:
        with_arrays = (".npz",) if "--output FILE.npz" in recipe.options else ()
        check_output(output, (".csv", ".json", *with_arrays), force=force)
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.predict import PredictionRequest
    from dlcli.workflow.predict import predict as predict_with_run
    from dlcli.workflow.predict_lines import predict_lines

    request = PredictionRequest(
        files, texts, top, output, draw, beam, safe_csv, masks, pixel_size, score, crops, copy_unknown
    )
    if recipe.reads_lines and paths == ("-",) and not texts and output is None:
        for row in predict_lines(run_dir, request, console=Console(quiet=quiet)):
            if as_json:
                write_json_line(row)
            else:
                _show_line(recipe.prediction, recipe.named_by, row)
        return
    results = predict_with_run(run_dir, request, console=Console(quiet=quiet))
    if as_json:
        write_json(results)
        return
    _show(recipe.prediction, recipe.named_by, results["predictions"])


def _show(form: str, name: str, predictions: Sequence[dict[str, Any]]) -> None:
    """Print predictions in the form that the schema of their task names.

    Args:
        form: as in :data:`dlcli.recipe.tasks.base.Prediction`.
        name: the entry of each row that names its sample.
    """
    if name == "text":
        predictions = [{**row, name: _clipped(row[name])} for row in predictions]
    match form:
        case "classes":
            _show_classes(name, predictions)
        case "box":
            boxes = {"box (x1 y1 x2 y2)": [" ".join(f"{value:.0f}" for value in row["box"]) for row in predictions]}
            _show_classes(name, predictions, boxes)
        case "objects":
            write_table([name, "objects", "counts", "highest score"], [_objects_row(name, row) for row in predictions])
        case "value":
            write_table([name, "predicted"], [[row[name], row["predicted"]] for row in predictions])
        case "numbers":
            names = list(predictions[0]["predicted"])
            write_table([name, *names], [[row[name], *row["predicted"].values()] for row in predictions])
        case "labels":
            write_table([name, "labels"], [[row[name], _labels_text(row["labels"])] for row in predictions])
        case "tags":
            for row in predictions:
                say(_tags_text(row))
        case "masks":
            _show_areas(name, predictions)
        case "steps":
            write_table(list(predictions[0]), [list(row.values()) for row in predictions])
        case _:
            raise AssertionError(f"a prediction without a form: {form}")


def _show_line(form: str, name: str, row: Mapping[str, Any]) -> None:
    """Print the prediction of a line of stdin in one line, in a form of :func:`_show`."""
    match form:
        case "classes":
            write_row([row[name], *map(_class_text, row["top"])])
        case "labels":
            write_row([row[name], _labels_text(row["labels"])])
        case "tags":
            say(_tags_text(row))
        case _:
            write_row([row[name], row["predicted"]])


def _clipped(text: str) -> str:
    """A text as wide as a column of a table may be; files and JSON have all of it."""
    return text if len(text) <= WIDEST_TEXT else text[: WIDEST_TEXT - 1] + "…"


def _objects_row(name: str, row: Mapping[str, Any]) -> list[str]:
    """The name of a sample, the number of its objects, that of each class, and the highest score."""
    objects = row["objects"]
    counts = ", ".join(f"{label} {number}" for label, number in row["counts"].items())
    return [row[name], str(len(objects)), counts or "none", f"{objects[0]['score']:.4f}" if objects else ""]


def _class_text(entry: Mapping[str, Any]) -> str:
    """A class with its probability."""
    return f"{entry['class']} {entry['probability']:.4f}"


def _tags_text(row: Mapping[str, Any]) -> str:
    """The words of a sentence with their tags."""
    return " ".join(f"{word}/{tag}" for word, tag in zip(row["words"], row["tags"], strict=True))


def _labels_text(labels: Sequence[Mapping[str, Any]]) -> str:
    """The labels that are predicted, with their probabilities."""
    return ", ".join(f"{row['label']} {row['probability']:.4f}" for row in labels if row["predicted"]) or "none"


def _show_classes(
    name: str, predictions: Sequence[dict[str, Any]], more: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> None:
    """A row for each sample: its name, further columns, and its most probable classes."""
    rows = [
        [
            row[name],
            *(cells[i] for cells in more.values()),
            *map(_class_text, row["top"]),
        ]
        for i, row in enumerate(predictions)
    ]
    ranks = [f"#{rank + 1}" for rank in range(len(predictions[0]["top"]))]
    write_table([name, *more, *ranks], rows)


def _show_areas(name: str, predictions: Sequence[dict[str, Any]]) -> None:
    """A row for each sample: its name, its size, and the share and area of its largest classes."""
    rows = []
    for row in predictions:
        largest = sorted(row["areas"].items(), key=lambda item: -item[1]["pixels"])[:MOST_AREAS]
        areas = [
            f"{label} {area['share']:.1%}" + (f" ({area['area']:.6g})" if "area" in area else "")
            for label, area in largest
        ]
        rows.append([row[name], f"{row['height']}x{row['width']}", *areas, *[""] * (MOST_AREAS - len(areas))])
    ranks = [f"#{rank + 1}" for rank in range(MOST_AREAS)]
    write_table([name, "height x width", *ranks], rows)
