"""``dlcli convolve``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import Utf8, WholeNumberRange, check_output, json_option, quiet_option
from dlcli.cli.output import say, write_json, write_table

MOST_POSITIONS = 20  # of a signal whose sums are written out
MAX_STEPS = 1000  # of strides, windows and shifts
PATH = click.Path(path_type=Path)


@click.command(short_help="Convolve a signal or an image with a kernel.")
@click.argument("source", metavar="SIGNAL|TABLE|IMAGE", type=Utf8())
@click.option(
    "-k",
    "--kernel",
    type=Utf8(),
    required=True,
    metavar="NAME|NUMBERS",
    help="identity, mean:SIZE, gaussian:SIGMA, laplacian; of signals difference, of images sobel-x, sobel-y, sharpen, "
    "emboss; or numbers, rows separated by semicolons.",
)
@click.option(
    "--stride",
    type=WholeNumberRange(1, MAX_STEPS),
    default=1,
    show_default=True,
    metavar="N",
    help="Distance between two positions of the kernel.",
)
@click.option(
    "--padding",
    type=click.Choice(["valid", "same", "full"]),
    default="same",
    show_default=True,
    help="How far the kernel may extend beyond the border: not, so that with stride 1 the size is kept (as in Keras), "
    "or until one value overlaps.",
)
@click.option(
    "--border",
    type=click.Choice(["zeros", "nearest", "reflect", "wrap"]),
    default="zeros",
    show_default=True,
    help="What is beyond the border.",
)
@click.option("--no-flip", is_flag=True, help="Do not reverse the kernel: the cross-correlation of network layers.")
@click.option("--relu", is_flag=True, help="Then apply the detector max(0, x).")
@click.option("--pool", type=WholeNumberRange(1, MAX_STEPS), metavar="N", help="Then take the maximum of windows of N.")
@click.option(
    "--pool-stride",
    type=WholeNumberRange(1, MAX_STEPS),
    metavar="N",
    help="Distance between these windows. Default: --pool.",
)
@click.option(
    "--shift",
    type=WholeNumberRange(-MAX_STEPS, MAX_STEPS),
    metavar="N",
    help="Measure how much of each step changes when the input is shifted by N.",
)
@click.option("--column", type=Utf8(), metavar="NAME", help="Column of a table; a number if it has no header.")
@click.option("--gray", is_flag=True, help="Convert an image in color to gray.")
@click.option("--plot", type=PATH, metavar="FILE.png", help="Draw the input, the kernel and each step.")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", help="Write the result to this .csv, .npz or (of an image) .png file."
)
@click.option("--force", is_flag=True, help="Overwrite these files if they exist.")
@json_option
@quiet_option
def convolve(source: str, plot: Path | None, output: Path | None, **options: Any) -> None:
    """Convolve a signal or an image with a kernel, and show the sum at each position.

    The first argument is a list of numbers, the path of a table with a column of numbers (.csv, .tsv, .txt), or an
    image, whose channels are convolved one by one. Put -- before numbers that start with a minus sign.

    \b
    Examples:
      dlcli convolve 0,0,1,1,1,0,0 --kernel 1,2,1 --padding full
      dlcli convolve 3,1,4,1,5,9,2,6 --kernel difference --plot signal.png
      dlcli convolve photo.jpg --kernel sobel-x --plot edges.png
      dlcli convolve photo.jpg --kernel '1,0,-1; 1,0,-1; 1,0,-1' --gray --output edges.npz
      dlcli convolve photo.jpg --kernel gaussian:2 --stride 4 --border reflect --output small.png
      dlcli convolve photo.jpg --kernel sobel-x --relu --pool 2 --shift 1
      dlcli convolve load.csv --column load --kernel mean:24 --padding valid -o trend.csv
    """
    if options["pool_stride"] is not None and options["pool"] is None:
        raise click.UsageError("--pool-stride needs --pool.")
    for path, suffixes in ((plot, (".png",)), (output, (".csv", ".npz", ".png"))):
        if path is not None:
            check_output(path, suffixes, force=options["force"])
    if plot is not None and plot == output:
        raise click.UsageError("--plot and --output must be different files.")
    from dlcli.workflow.convolve import Setting, run_convolve, write_figure, write_result

    setting = Setting(
        kernel=options["kernel"],
        stride=options["stride"],
        padding=options["padding"],
        border=options["border"],
        flip=not options["no_flip"],
        relu=options["relu"],
        pool=options["pool"],
        pool_stride=options["pool_stride"] or options["pool"] or 1,
        shift=options["shift"],
    )
    convolved = run_convolve(source, setting, column=options["column"], gray=options["gray"])
    result = {"source": source, **convolved.as_dict()}
    if output is not None and (clipped := write_result(convolved, output)) and not options["quiet"]:
        say(f"{output}: {clipped:,} values below 0 or above 255 became black or white", err=True)
    if plot is not None:
        write_figure(convolved, plot)
    if options["as_json"]:
        write_json({**result, "files": [str(path) for path in (output, plot) if path is not None]})
        return
    _show(result)
    for path in (output, plot):
        if path is not None:
            say(path)


def _show(result: dict[str, Any]) -> None:
    given, computed = result["steps"][:2]
    _show_kernel(result["kernel"], is_flipped=result["flipped"])
    if "values" in given and len(computed["values"]) <= MOST_POSITIONS:
        _show_sums(given["values"], computed, result)
    rows = []
    for step in result["steps"]:
        shape = "x".join(map(str, step["shape"]))
        rows.append([step["name"], shape, *(f"{step[key]:.6g}" for key in ("minimum", "maximum", "mean"))])
    write_table(["step", "size", "minimum", "maximum", "mean"], rows, right=range(1, 5))
    if result["shift"]:
        say("\nwith the input shifted:")
        write_table(
            ["step", "values that change", "relative change"],
            [[row["name"], f"{row['changed']:.1%}", row["relative_change"]] for row in result["shift"]],
            right=(1, 2),
        )


def _show_kernel(kernel: list[Any], *, is_flipped: bool) -> None:
    rows = kernel if isinstance(kernel[0], list) else [kernel]
    if max(len(rows), len(rows[0])) > MOST_POSITIONS // 2:
        return
    say(f"kernel{', reversed in the sums' if is_flipped else ''}:")
    cells = [[f"{weight:.4g}" for weight in row] for row in rows]
    width = max(len(cell) for row in cells for cell in row)
    for row in cells:
        say("  " + " ".join(cell.rjust(width) for cell in row))
    say()


def _show_sums(values: list[float], computed: dict[str, Any], result: dict[str, Any]) -> None:
    """The products of each position, without those with padded zeros."""
    weights = result["kernel"][::-1] if result["flipped"] else result["kernel"]
    before = result["padding"][0][0]
    rows = []
    for number, total in enumerate(computed["values"]):
        start = number * result["stride"] - before
        inside = [(values[start + i], weight) for i, weight in enumerate(weights) if 0 <= start + i < len(values)]
        products = " + ".join(f"{value:.4g}·{weight:.4g}" for value, weight in inside)
        rows.append([number, start, products, f"{total:.6g}"])
    is_complete = result["border"] == "zeros"
    write_table(
        ["output", "from", "products" if is_complete else "products inside the border", "sum"], rows, right=(0, 1, 3)
    )
    say()
