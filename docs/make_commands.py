"""Writes the page of all commands from their help: ``python docs/make_commands.py > docs/reference/commands.md``."""

import inspect
from collections.abc import Iterator

import click

from dlcli.cli import cli

HEAD = """\
<!-- Written by docs/make_commands.py from the commands' help; do not edit. -->

# Commands

Every command with its options, as `--help` prints them. Results go to stdout, everything else to stderr. Exit status:
[exit codes](exit-codes.md).
"""


def page() -> str:
    """The whole page, commands in the order of ``dlcli --help``."""
    return "\n".join([HEAD, *_sections(cli, "dlcli")])


def _sections(group: click.Group, name: str) -> Iterator[str]:
    """The sections of a group's commands; a command that is a group has those of its own commands."""
    with click.Context(group, info_name=name, **cli.context_settings) as context:
        for key in group.list_commands(context):
            command = group.get_command(context, key)
            assert command is not None
            if isinstance(command, click.Group):
                yield from _sections(command, f"{name} {key}")
            else:
                yield _section(command, f"{name} {key}")


def _section(command: click.Command, name: str) -> str:
    """Heading, usage, description with examples, and the table of options (without ``--help``)."""
    with click.Context(command, info_name=name, **cli.context_settings) as context:
        usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
        records = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    rows = [f"| {_cell(f'`{option}`')} | {_cell(text)} |" for option, text in filter(None, records)]
    table = "\n\n" + "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""
    return f"## {name}\n\n`{usage}`\n\n{_description(command.help or '')}{table}\n"


def _description(text: str) -> str:
    """Paragraphs; those that click must not wrap (marked by a backspace) become a block of command lines."""
    return "\n\n".join(_paragraph(part) for part in inspect.cleandoc(text).split("\n\n"))


def _paragraph(text: str) -> str:
    if not text.startswith("\b"):
        return " ".join(text.split())
    head, *lines = text.removeprefix("\b").strip().splitlines()
    if not head.endswith(":"):
        head, lines = "", [head, *lines]
    block = "\n".join(line.strip() for line in lines)
    return f"{head}\n\n```\n{block}\n```".strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
