"""``dlcli recipe init``: a recipe drafted for a folder or file of data. Needs no TensorFlow."""

from pathlib import Path

from dlcli.errors import InputError
from dlcli.files import check_replaceable
from dlcli.rundir.writing import replace_file
from dlcli.tasks.draft import BoxTask, draft_recipe


def init(data: Path, output: Path | None, *, task: BoxTask | None = None, force: bool) -> tuple[Path, tuple[str, ...]]:
    """Draft a recipe for data and write it.

    Args:
        output: the file to write; None for the data's name with .yaml, in the current folder.
        task: as for :func:`dlcli.tasks.draft.draft_recipe`.
        force: replace an existing file.

    Returns:
        The recipe's file, and a description of the data, line by line.

    Raises:
        InputError: no recipe can be drafted for the data, or the file already exists or its folder does not.
    """
    resolved = data.resolve()
    target = output or Path(f"{resolved.name if resolved.is_dir() else resolved.stem}.yaml")
    check_replaceable(target)
    if target.exists() and not force:
        raise InputError(f"{target}: already exists. Choose another name with --output, or use --force to replace it.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: no such folder {target.parent}. Create it, or choose another name with --output.")
    draft = draft_recipe(data, target.parent, task)
    replace_file(target, draft.text)
    return target, draft.seen
