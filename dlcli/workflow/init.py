"""``dlcli recipe init``: a recipe drafted for a folder or file of data. Needs no TensorFlow."""

from pathlib import Path

from dlcli.errors import InputError
from dlcli.rundir import replace_file
from dlcli.tasks.draft import draft_recipe


def init(data: Path, output: Path | None, *, force: bool) -> tuple[Path, tuple[str, ...]]:
    """Drafts a recipe and writes it.

    Args:
        output: where to write it; None for the data's name with .yaml, in the current folder.
        force: replace a file that exists.

    Returns:
        The recipe's file, and what is in the data, a line each.

    Raises:
        InputError: nothing is there that a recipe could be drafted for, or the file exists or has no folder.
    """
    resolved = data.resolve()
    target = output or Path(f"{resolved.name if resolved.is_dir() else resolved.stem}.yaml")
    if target.exists() and not force:
        raise InputError(f"{target}: already exists. Choose another name with --output, or use --force to replace it.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    draft = draft_recipe(data, target.parent)
    replace_file(target, draft.text)
    return target, draft.seen
