"""``dlcli export``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    NumberRange,
    WholeNumberRange,
    check_run,
    device_option,
    json_option,
    other_data_option,
    quiet_option,
    run_argument,
    runs_option,
)
from dlcli.cli.output import say, write_json, write_metrics, write_table


@click.command(short_help="Export a trained model to SavedModel, ONNX or LiteRT.")
@run_argument(required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["saved_model", "onnx", "litert"]),
    required=True,
    help="saved_model for TensorFlow and its server, onnx for ONNX Runtime, litert for phones and small devices.",
)
@click.option(
    "--quantize",
    type=click.Choice(["float16", "dynamic", "int8"]),
    help="Store weights in 16 bits; in 8 bits; or compute in 8 bits, with ranges from the training split.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to create. Default: exports/<format>/ in the run.",
)
@click.option(
    "--samples",
    type=WholeNumberRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Number of samples on which the exported model is compared with the Keras model.",
)
@click.option(
    "--tolerance",
    type=NumberRange(min=0, max=1, min_open=True),
    metavar="D",
    help="Largest accepted difference of an output, as a fraction of its range. Default: 0.001, 0.05 with float16, "
    "0.3 with 8 bits, and in the mean of the samples 0.001, 0.01 and 0.04.",
)
@click.option("--evaluate", "evaluates", is_flag=True, help="Evaluate the exported model on the whole split, too.")
@other_data_option
@runs_option
@device_option
@json_option
@quiet_option
def export(
    run: str | None,
    format_: Any,
    quantize: Any,
    output: Path | None,
    samples: int,
    tolerance: float | None,
    evaluates: bool,
    data: str | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export the best model of RUN (default: the newest run) for other programs, and check what was written.

    \b
    Examples:
      dlcli export digits_convnet --format onnx
      dlcli export flowers --format litert --quantize int8 --evaluate
      dlcli export flowers --format saved_model -o serving/flowers/1

    The exported model runs in its own runtime on samples of the test split. If its outputs differ too much from those
    of the Keras model, it is kept in a folder whose name ends in -refused, and the exit status is 1. Beside the model
    are export.json (inputs, outputs, differences, size and time), its labels, and client.py, an example of its use.
    """
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow
    from dlcli.workflow.export_request import check_request

    run_dir = find_run(runs, run)
    check_run(run_dir, "export", {"--data": data is not None})
    check_request(format_, quantize, output)
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.export import ExportRequest
    from dlcli.workflow.export import export as export_run
    from dlcli.workflow.other_data import find_other_data

    console = Console(quiet=quiet)
    request = ExportRequest(format_, quantize, find_other_data(data, run_dir, console).path, samples)
    results = export_run(
        run_dir,
        request,
        output=output,
        tolerance=tolerance,
        evaluates=evaluates,
        console=console,
    )
    if as_json:
        write_json(results)
        return
    _write(results)


def _write(results: dict[str, Any]) -> None:
    check, times = results["check"], results["milliseconds"]
    say(f"{results['run']}, {results['format']}: {check['samples']:,} samples of {check['split']}")
    shown = {
        "largest_difference": check["largest_difference"],
        "mean_difference": check["mean_difference"],
        f"agreement ({check['agreement_of']})": check["agreement"],
    }
    write_metrics({name: value for name, value in shown.items() if value is not None})
    sizes = list(times["keras"])
    rows = [
        [name, f"{results['bytes'][key]:,}", *(times[key][size] for size in sizes)]
        for name, key in (("Keras", "keras"), (results["format"], "exported"))
    ]
    write_table(["", "bytes", *(f"ms, batch of {size}" for size in sizes)], rows, right=range(1, 2 + len(sizes)))
    if "metrics" in results:
        say("evaluation of the exported model:")
        write_metrics(results["metrics"])
    say(f"files in {results['folder']}")
