"""``dlcli models``."""

from typing import Any

import click

from dlcli.cli.options import json_option
from dlcli.cli.output import say, write_json, write_table
from dlcli.errors import InputError


def _complete_families(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from dlcli.workflow.models import FAMILIES

    return [family for family in FAMILIES if family.startswith(incomplete)]


@click.command(short_help="List image networks with their cost and published errors.")
@click.option(
    "--family", metavar="KIND", shell_complete=_complete_families, help="List only networks of this model.kind."
)
@click.option(
    "--quoted", is_flag=True, help="Show the figures that papers and lectures quote beside this program's counts."
)
@json_option
def models(family: str | None, quoted: bool, as_json: bool) -> None:
    """List the image networks: parameters, multiply-adds and activations for one image, and errors on ImageNet.

    Counts are for the networks as built by this program, at their published input size. Errors are the published ones,
    in percent; --json gives their sources. convnet and mlp are not listed because the recipe sets their size.

    \b
    Examples:
      dlcli models
      dlcli models --family resnet
      dlcli models --quoted
      dlcli models --json | jq '.[] | select(.parameters < 6e6) | .network'
    """
    from dlcli.workflow.models import FAMILIES, list_networks, list_quoted

    if family is not None and quoted:
        raise click.UsageError("--family and --quoted cannot be combined.")
    if family is not None and family not in FAMILIES:
        raise InputError(f"--family {family}: unknown family. Choose from {', '.join(FAMILIES)}.")
    rows = list_quoted() if quoted else list_networks(family)
    if as_json:
        write_json(rows)
    elif quoted:
        _write_quoted(rows)
    else:
        _write_networks(rows)


def _write_networks(rows: list[dict[str, Any]]) -> None:
    header = ("network", "model", "input", "parameters", "mult-adds", "activations", "top-1", "top-5", "weights")
    write_table(
        header,
        [
            [
                row["network"],
                _recipe(row["model"]),
                "x".join(map(str, row["input"])),
                f"{row['parameters']:,}",
                f"{row['multiply_adds'] / 1e9:.3f} G",
                f"{row['activations'] / 1e6:.2f} M",
                "-" if row["top1_error"] is None else f"{row['top1_error']:g}",
                "-" if row["top5_error"] is None else f"{row['top5_error']:g}",
                row["weights"],
            ]
            for row in rows
        ],
        right=(3, 4, 5, 6, 7),
    )


def _recipe(model: dict[str, Any]) -> str:
    shown = {key: str(value).lower() if isinstance(value, bool) else value for key, value in model.items()}
    return "{" + ", ".join(f"{key}: {value}" for key, value in shown.items()) + "}"


def _write_quoted(rows: list[dict[str, Any]]) -> None:
    notes = list(dict.fromkeys(row["note"] for row in rows if row["note"]))
    header = ("network", "input", *(f"{what} {how}" for what in ("parameters", "mult-adds", "activations") for how in
              ("quoted", "counted")))  # fmt: skip
    write_table(
        header,
        [
            [
                row["quoted_as"] + (f" [{notes.index(row['note']) + 1}]" if row["note"] else ""),
                "x".join(map(str, row["input"][:2])) if row["input"] else "-",
                *(
                    _amount(row[how][what], unit, scale)
                    for what, unit, scale in (
                        ("parameters", "M", 1e6),
                        ("multiply_adds", "G", 1e9),
                        ("activations", "M", 1e6),
                    )
                    for how in ("quoted", "counted")
                ),
            ]
            for row in rows
        ],
        right=range(2, len(header)),
    )
    for number, note in enumerate(notes, start=1):
        say(f"[{number}] {note}")


def _amount(number: float | None, unit: str, scale: float) -> str:
    return "-" if number is None else f"{number / scale:.1f} {unit}"
