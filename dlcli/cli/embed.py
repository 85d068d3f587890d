"""``dlcli embed``."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    WholeNumberRange,
    check_output,
    check_run,
    complete_runs,
    device_option,
    json_option,
    quiet_option,
    runs_option,
    safe_csv_option,
)
from dlcli.cli.output import write_json, write_table
from dlcli.cli.paths import expanded


@click.command(short_help="Compute feature vectors of images, and the most similar images.")
@click.argument("arguments", nargs=-1, metavar="[RUN] PATH...", shell_complete=complete_runs)
@click.option(
    "--base",
    metavar="NETWORK",
    help="A network of keras.applications, such as mobilenetv2, in place of RUN; all arguments are then PATHs.",
)
@click.option(
    "--weights",
    metavar="imagenet|none|FILE",
    help="Weights of --base. Default: imagenet, which Keras downloads.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the vectors to this .npz file (arrays files and vectors) or .csv file.",
)
@click.option(
    "--nearest",
    type=WholeNumberRange(1, 100),
    default=5,
    show_default=True,
    metavar="N",
    help="Number of most similar images of each image.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Draw up to 12 of the images with the most similar ones.",
)
@safe_csv_option
@click.option("--force", is_flag=True, help="Overwrite the --output and --sheet files if they exist.")
@runs_option
@device_option
@json_option
@quiet_option
def embed(arguments: tuple[str, ...], runs: Path, device: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compute the feature vector of each image: what the last layer of RUN's best model computes its outputs from.

    Each PATH is an image, a folder of images, or an .npz file, as for dlcli predict. Images are compared by the cosine
    similarity of their vectors.

    \b
    Examples:
      dlcli embed flowers photos/ --sheet similar.png
      dlcli embed runs/flowers photos/ --output vectors.npz
      dlcli embed --base mobilenetv2 photos/ --nearest 3 --json
    """
    base, output, sheet = options["base"], options["output"], options["sheet"]
    if base is None and options["weights"] is not None:
        raise click.UsageError("--weights is for --base.")
    if len(arguments) < (1 if base is not None else 2):
        raise click.UsageError("Specify a RUN or --base, and what to embed: a PATH.")
    if options["safe_csv"] and (output is None or output.suffix.lower() != ".csv"):
        raise click.UsageError("--safe-csv is for --output FILE.csv.")
    paths = expanded(arguments if base is not None else arguments[1:])
    network = _run(runs, arguments[0]) if base is None else _base(base, options["weights"], runs, device)
    if output is not None:
        check_output(output, (".npz", ".csv"), force=options["force"])
    if sheet is not None:
        check_output(sheet, (".png",), force=options["force"])
    from dlcli.runtime.startup import start_tensorflow

    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.embed import embed as embed_images
    from dlcli.workflow.embed import neighbors, write_sheet, write_vectors

    console = Console(quiet=quiet)
    embedded = embed_images(network, paths, console=console)
    number, size = embedded.vectors.shape
    console.say(f"{number:,} {'vector' if number == 1 else 'vectors'} of {size:,} values")
    if output is not None:
        write_vectors(output, embedded, safe_csv=options["safe_csv"])
        console.say(f"vectors written to {output}")
    if sheet is not None:
        write_sheet(sheet, embedded, options["nearest"])
        console.say(f"sheet written to {sheet}")
    found = neighbors(embedded, options["nearest"])
    if as_json:
        left_out = [list(left) for left in embedded.left_out]
        write_json({"images": number, "values": size, "neighbors": found, "left_out": left_out})
        return
    rows = [[row["file"], *(f"{near['file']} {near['similarity']:.3f}" for near in row["nearest"])] for row in found]
    write_table(["file", *(f"#{rank + 1}" for rank in range(len(rows[0]) - 1))], rows)


def _run(runs: Path, reference: str) -> Any:
    from dlcli.rundir.runs import find_run

    run = find_run(runs, reference)
    check_run(run, "embed")
    return run


def _base(base: str, weights: str | None, runs: Path, device: str) -> Any:
    """The recipe of a pretrained network."""
    if base.startswith("run:") or base.endswith(".keras"):
        raise click.UsageError("--base is for networks of keras.applications. Name a run as RUN.")
    from dlcli.recipe.language.overrides import Override
    from dlcli.workflow.transfer import find_base, top_recipe

    network = find_base(base, runs=runs, device=device)
    overrides = []
    if weights is not None:
        value = weights if weights in ("imagenet", "none") else str(Path(weights).expanduser().absolute())
        overrides.append(Override.of_value("model.weights", value, f"--weights {weights}"))
    return top_recipe(network, overrides, command=shlex.join(["dlcli", *sys.argv[1:]]))
