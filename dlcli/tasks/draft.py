"""Drafts a recipe for data, by the task that they are for. Needs no TensorFlow."""

import os
from pathlib import Path

from dlcli.errors import InputError
from dlcli.tasks.drafting import Draft
from dlcli.tasks.images.drafting import draft_images
from dlcli.tasks.sequences.drafting import draft_sequences


def draft_recipe(data: Path, folder: Path) -> Draft:
    """Drafts a recipe for what is in a folder or a file: text and series first, images otherwise.

    Args:
        data: where the samples are.
        folder: where the recipe will be; the path in it is relative to this.

    Raises:
        InputError: nothing is there that a recipe could be drafted for.
    """
    path = os.path.relpath(os.path.realpath(data), os.path.realpath(folder))
    if not data.exists():
        raise InputError(f"{data}: no such file or folder")
    if not data.is_dir() and not data.is_file():
        raise InputError(f"{data}: a pipe or device, not a file")
    try:
        of_sequences = draft_sequences(data, path)
        return draft_images(data, path) if of_sequences is None else Draft(*of_sequences)
    except OSError as error:
        raise InputError(f"{error.filename or data}: cannot be read: {error.strerror}") from None
