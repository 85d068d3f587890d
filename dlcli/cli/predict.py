"""``dlcli predict``."""

from pathlib import Path

import click

from dlcli.cli.options import device_option, json_option, quiet_option, run_argument, runs_option
from dlcli.cli.output import write_json, write_table


@click.command(short_help="Predict the classes of pictures.")
@run_argument(required=True)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes shown for each sample.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write every probability to a .csv or .json file.",
)
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the pictures with their boxes into this new folder (localisation).",
)
@click.option("--force", is_flag=True, help="Replace the file of --output where it is there.")
@runs_option
@device_option
@json_option
@quiet_option
def predict(
    run: str,
    paths: tuple[Path, ...],
    top: int,
    output: Path | None,
    force: bool,
    draw: Path | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict the classes of pictures, folders of pictures and .npz files with the best model of RUN.

    \b
    Examples:
      dlcli predict digits_convnet scan.png
      dlcli predict runs/flowers photos/ --top 5 --output flowers.csv
      dlcli predict runs/flowers photos/ --json
      dlcli predict raccoons photos/ --draw found/

    Pictures are brought to size as they were in training; a box is in pixels of the upright picture. A file that cannot
    be read is named and left out.
    """
    from dlcli.rundir import find_run
    from dlcli.workflow.start import start_tensorflow

    found = find_run(runs, run)
    start_tensorflow(device)
    from dlcli.workflow.predict import predict as work
    from dlcli.workflow.talk import Talk

    results = work(found, paths, top=top, output=output, force=force, draw=draw, talk=Talk(quiet=quiet))
    if as_json:
        write_json(results)
        return
    predictions = results["predictions"]
    boxes = ["box"] if "box" in predictions[0] else []
    rows = [
        [
            row["file"],
            *(" ".join(f"{value:.0f}" for value in row[name]) for name in boxes),
            *(f"{entry['class']} {entry['probability']:.4f}" for entry in row["top"]),
        ]
        for row in predictions
    ]
    ranks = [f"#{rank + 1}" for rank in range(len(predictions[0]["top"]))]
    write_table(["file", *(f"{name} (x1 y1 x2 y2)" for name in boxes), *ranks], rows)
