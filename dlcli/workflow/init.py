"""``dlcli recipe init``: a recipe drafted for a folder or file of data. Needs no TensorFlow."""

from pathlib import Path

import dlcli
from dlcli.errors import InputError
from dlcli.files import check_replaceable
from dlcli.printing import escaped_line
from dlcli.recipe.language.suggestions import did_you_mean
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
    _check_target(target, force=force)
    draft = draft_recipe(data, target.parent, task)
    replace_file(target, draft.text)
    return target, draft.seen


def copy_example(name: str, output: Path | None, *, force: bool) -> Path:
    """Copy a recipe that ships with dlcli.

    Args:
        name: of its file, with or without .yaml.
        output: the file to write; None for that name, in the current folder.
        force: replace an existing file.

    Returns:
        The recipe's file.

    Raises:
        InputError: there is no such recipe, or the file already exists or its folder does not.
    """
    name = name.removesuffix(".yaml")
    known = examples()
    if name not in known:
        guess = did_you_mean(name, known) or "."
        raise InputError(f"--example {escaped_line(name)}: no such example{guess} The examples: {', '.join(known)}.")
    target = output or Path(f"{name}.yaml")
    _check_target(target, force=force)
    replace_file(target, (_folder_of_examples() / f"{name}.yaml").read_bytes())
    return target


def examples() -> list[str]:
    """The names of the recipes that ship."""
    return sorted(path.stem for path in _folder_of_examples().glob("*.yaml"))


def _folder_of_examples() -> Path:
    """The folder ``recipes`` of the installed package, or of the repository."""
    package = Path(dlcli.__file__).parent
    return next(
        (folder for folder in (package / "recipes", package.parent / "recipes") if (folder / "schema.json").is_file()),
        package / "recipes",
    )


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse a file that already exists, or whose folder does not.

    Raises:
        InputError: it cannot be written.
    """
    check_replaceable(target)
    if target.exists() and not force:
        raise InputError(f"{target}: already exists. Choose another name with --output, or use --force to replace it.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: no such folder {target.parent}. Create it, or choose another name with --output.")
