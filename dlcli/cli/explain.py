"""``dlcli explain``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from dlcli.cli.options import (
    Utf8,
    check_run,
    device_option,
    json_option,
    quiet_option,
    run_argument,
    runs_option,
    split_option,
)
from dlcli.cli.output import say, write_json, write_table
from dlcli.cli.paths import expanded
from dlcli.errors import InputError

METHODS = ("auto", "gradient", "smoothgrad", "integrated", "gradcam", "gradcam++", "occlusion", "guided")
MOST_STEPS = 100_000


@click.command(short_help="Show what a classifier sees in an image.")
@run_argument(required=True)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--method",
    "methods",
    type=click.Choice(METHODS),
    multiple=True,
    help="Method of attribution; repeatable. Default: auto, which is integrated gradients and occlusion for images of "
    "up to 64 pixels, Grad-CAM and occlusion for larger ones.",
)
@click.option(
    "--class",
    "target",
    type=Utf8(),
    default="predicted",
    show_default=True,
    metavar="NAME|predicted|label",
    help="Class to explain, by name or index; label is for images of a split.",
)
@click.option(
    "--layer",
    type=Utf8(),
    metavar="NAME",
    help="Layer whose feature maps Grad-CAM weights, such as stage3. Default: the last with more than one position.",
)
@click.option(
    "--baseline",
    type=click.Choice(["black", "mean", "blur"]),
    help="Image that integrated gradients start from, and that fills an occluded window. Default: black.",
)
@click.option(
    "--steps",
    metavar="auto|N",
    default="auto",
    show_default=True,
    help="Steps of integrated gradients; auto doubles them until the maps are complete within 1%.",
)
@split_option
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Explain only N images, evenly spaced. Default: all of the PATHs, 16 of a split.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Check the methods, too, on images of a split: randomized weights, insertion and deletion, grid pointing.",
)
@click.option("--name", metavar="NAME", help="Name of the results folder. Default: the methods.")
@runs_option
@device_option
@json_option
@quiet_option
def explain(
    run: str,
    paths: tuple[str, ...],
    methods: tuple[str, ...],
    target: str,
    layer: str | None,
    baseline: Literal["black", "mean", "blur"] | None,
    steps: str,
    split: str | None,
    limit: int | None,
    check: bool,
    name: str | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what the best model of RUN sees in images: what speaks for a class, and what against it.

    Each PATH is an image, a folder of images, an .npz file, or - for an image's bytes on stdin. Without a PATH, images
    of the test split are explained.

    \b
    Examples:
      dlcli explain digits_convnet
      dlcli explain runs/flowers photos/rose.jpg
      dlcli explain runs/flowers photos/ --method gradcam --layer stage3 --class tulip
      dlcli explain digits_convnet scan.png --method integrated --steps 200 --baseline blur
      dlcli explain digits_convnet --check --method integrated --method guided
      dlcli explain digits_convnet --split validation --class label --limit 50 --json

    Maps have a value for each pixel of the network's input: positive where the image speaks for the class, negative
    where it speaks against it. Results are written to explanations/NAME/ in the run: explanations.csv, maps.npz,
    maps.png and explanation.json, with --check also check.json. Results of a different request are never replaced;
    NAME gets a number instead.
    """
    from dlcli.rundir.runs import check_name, find_run
    from dlcli.runtime.startup import start_tensorflow

    if "" in paths:
        raise click.UsageError("A PATH must not be empty. Use . for the current folder.")
    if paths and split is not None:
        raise click.UsageError("--split is for images of the run's own data. Leave it or the paths out.")
    num_steps = _steps(steps)
    if name is not None:
        try:
            check_name(name)
        except InputError as error:
            raise InputError(f"--name {name}: {error}") from None
    files = expanded(paths)
    run_dir = find_run(runs, run)
    check_run(run_dir, "explain")
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.explain import ExplanationRequest
    from dlcli.workflow.explain import explain as explain_run

    request = ExplanationRequest(
        paths=files,
        methods=methods or ("auto",),
        target=target,
        layer=layer,
        baseline=baseline,
        steps=num_steps,
        split=split,
        limit=limit,
        check=check,
    )
    results = explain_run(run_dir, request, name=name, console=Console(quiet=quiet))
    if as_json:
        write_json(results)
        return
    _show(results["explanations"])
    if results["check"] is not None:
        say()
        _show_check(results["check"])
    say(f"files in {results['folder']}")


def _steps(text: str) -> int | None:
    """The number of steps; None for auto."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_STEPS):
        raise InputError(f"--steps: expected auto or a whole number from 1 to {MOST_STEPS:,}. Received {text}.")
    return int(text)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    """A row for each image and method: the class that is explained, and how complete the map is."""
    header = ["file", "class", "probability", "method", "largest", "completeness error", "note"]
    cells = [
        [
            row["file"],
            row["class"],
            row["probability"],
            " ".join(filter(None, [row["method"], row["layer"]])),
            row["largest"],
            f"{row['completeness_error']:.2%}" if row["completeness_error"] is not None else "",
            row["note"],
        ]
        for row in rows
    ]
    write_table(header, cells)


def _show_check(check: Mapping[str, Any]) -> None:
    """A row for each method and for each map that knows nothing of the network."""
    header = ["checked", "random head", "random weights", "insertion", "deletion", "mass in quarter", "quarter", ""]
    methods, grid = check["randomization"]["methods"], check["grid_pointing"]
    cells = []
    for name in check["insertion"]:
        found = methods.get(name, {})
        values = [found.get("head"), found.get("all"), check["insertion"][name], check["deletion"][name]]
        values += [grid["mass"].get(name), grid["quarter"].get(name)]
        cells.append([name, *map(_statistic, values), found.get("verdict", "naive")])
    write_table(header, cells)
    say(f"{check['images']} images, {grid['mosaics']} mosaics of four; mean ± standard error")


def _statistic(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    error = found["standard_error"]
    return f"{found['mean']:.3f}" + ("" if error is None else f" ±{error:.3f}")
