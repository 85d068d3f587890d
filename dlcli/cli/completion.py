"""``dlcli completion``."""

import click
from click.shell_completion import get_completion_class

from dlcli.cli.output import say


@click.command(short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that enables Tab completion of verbs, options and runs.

    \b
    Examples:
      dlcli completion bash >> ~/.bashrc
      dlcli completion zsh >> ~/.zshrc
      dlcli completion fish > ~/.config/fish/completions/dlcli.fish
    """
    from dlcli.cli import cli

    completion_class = get_completion_class(shell)
    assert completion_class is not None  # click supports all the choices above
    say(completion_class(cli, {}, "dlcli", "_DLCLI_COMPLETE").source())
