"""``dlcli completion``."""

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete dlcli's verbs, options and runs with Tab.

    \b
    Examples:
      dlcli completion bash >> ~/.bashrc
      dlcli completion zsh >> ~/.zshrc
      dlcli completion fish > ~/.config/fish/completions/dlcli.fish
    """
    from dlcli.cli import cli

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(cli, {}, "dlcli", "_DLCLI_COMPLETE").source())
