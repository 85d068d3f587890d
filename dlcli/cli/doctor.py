"""``dlcli doctor``."""

import click

from dlcli.cli.options import json_option
from dlcli.cli.output import say, write_json


@click.command(short_help="Check versions, devices and dependencies.")
@json_option
def doctor(as_json: bool) -> None:
    """Show versions, devices and memory, and report what is missing. Exit status 1 if training cannot work.

    \b
    Examples:
      dlcli doctor
      dlcli doctor --json
    """
    from dlcli.errors import CheckFailed
    from dlcli.workflow.doctor import examine

    report = examine()
    if as_json:
        write_json(report)
    else:
        for name, value in report["versions"].items():
            say(f"{name.ljust(14)} {value}")
        say(f"{'devices'.ljust(14)} {', '.join(report['devices']) or '-'}")
        say(f"{'memory'.ljust(14)} {report['memory_gib']:.1f} GiB")
        for note in report["notes"]:
            say(f"note: {note}")
    if report["errors"]:
        raise CheckFailed("\n".join(report["errors"]))
