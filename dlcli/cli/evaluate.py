"""``dlcli evaluate``."""

from pathlib import Path
from typing import Literal

import click

from dlcli.cli.options import (
    WholeNumberRange,
    beam_option,
    check_run,
    copy_unknown_option,
    devices_option,
    json_option,
    other_data_option,
    quiet_option,
    run_argument,
    runs_option,
    safe_csv_option,
    split_option,
)
from dlcli.cli.output import say, write_json, write_metrics


@click.command(short_help="Evaluate a trained model.")
@run_argument(required=False)
@split_option
@other_data_option
@beam_option
@copy_unknown_option
@click.option(
    "--top-k",
    type=WholeNumberRange(min=1),
    multiple=True,
    metavar="K",
    help="Report the accuracy of the K most probable classes, too; repeatable (classifiers).",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Fit a temperature on the validation split first, which evaluate and predict apply (classifiers).",
)
@click.option(
    "--tta",
    type=click.Choice(["flip", "crops", "flip+crops"]),
    help="Test-time augmentation: average the probabilities of mirrored and cropped views (classification of images).",
)
@click.option("--probabilities", is_flag=True, help="Write the probabilities of all classes to probabilities.npz.")
@safe_csv_option
@runs_option
@devices_option
@json_option
@quiet_option
def evaluate(
    run: str | None,
    split: str | None,
    data: str | None,
    beam: int,
    copy_unknown: bool,
    top_k: tuple[int, ...],
    calibrate: bool,
    tta: Literal["flip", "crops", "flip+crops"] | None,
    probabilities: bool,
    safe_csv: bool,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Evaluate the best model of RUN (default: the newest run) on a split or on other data.

    \b
    Examples:
      dlcli evaluate
      dlcli evaluate digits_convnet --split validation
      dlcli evaluate runs/flowers --data new_photos/ --json
      dlcli evaluate flowers --data s3://bucket/packed

    Results are written to evaluation/<split>/ in the run: metrics.json, per_class.csv, predictions.csv and plots.
    """
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow

    run_dir = find_run(runs, run)
    # where there is one split alone, it is the test
    given = {
        "--beam": beam != 1,
        "--calibrate": calibrate,
        "--copy-unknown": copy_unknown,
        "--data": data is not None,
        "--probabilities": probabilities,
        "--top-k": bool(top_k),
        "--tta": tta is not None,
        "--split": split not in (None, "test"),
    }
    check_run(run_dir, "evaluate", given)
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.evaluate import EvaluationRequest
    from dlcli.workflow.evaluate import evaluate as evaluate_run
    from dlcli.workflow.other_data import find_other_data

    console = Console(quiet=quiet)
    other = find_other_data(data, run_dir, console)
    request = EvaluationRequest(
        split,
        other.path,
        beam,
        safe_csv=safe_csv,
        all_probabilities=probabilities,
        top_k=top_k,
        calibrate=calibrate,
        views=tta,
        copy_unknown=copy_unknown,
        url=other.url,
    )
    results = evaluate_run(run_dir, request, console=console)
    if as_json:
        write_json(results)
        return
    say(f"{results['run']}, {results['split']}: {results['samples']:,} samples")
    metrics = {name: value for name, value in results.items() if name not in ("samples", "trained_on")}
    write_metrics(metrics, results.get("intervals", {}))
    say(f"files in {results['folder']}")
