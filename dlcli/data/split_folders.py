"""Folders named after the splits they contain."""

import difflib
from pathlib import Path

from dlcli.data.files import list_folder, printable
from dlcli.data.listing import name_some
from dlcli.data.splits import SPLIT_NAMES, SPLIT_OF, SPLITS, DataWarning, LeftOut
from dlcli.errors import InputError


def find_splits(root: Path) -> tuple[dict[str, Path], list[LeftOut], list[DataWarning]]:
    """The folder of each split; if the folders in the root are classes, the root itself is train.

    Folders named after splits are splits if there is no other folder, or if train and another split are among them:
    a data set of vehicles may well have a class "train".

    Raises:
        InputError: the root cannot be listed, two folders are the same split, train is missing, or a folder's name is
            almost that of a split.
    """
    folders, files = list_folder(root)
    by_name = {folder.name: folder for folder in folders if not folder.name.startswith(".")}
    named = [name for name in by_name if name.lower() in SPLIT_OF]
    others = [name for name in by_name if name.lower() not in SPLIT_OF]
    has_train = any(SPLIT_OF[name.lower()] == "train" for name in named)
    if not named or (others and not (has_train and len(named) > 1)):
        return {"train": root}, [], []
    splits: dict[str, Path] = {}
    for name in named:
        split = SPLIT_OF[name.lower()]
        if split in splits:
            raise InputError(
                f"{root}: each split must be in one folder. Received '{splits[split].name}' and '{name}': merge them."
            )
        splits[split] = by_name[name]
    if not has_train:
        raise InputError(f"{root}: there must be a folder 'train' beside {name_some(named)}.")
    for name in others:
        near = difflib.get_close_matches(name.lower(), SPLIT_OF, n=1, cutoff=0.7)
        if near:
            raise InputError(f"{root / name}: a split's folder must be {SPLIT_NAMES}: rename it to '{near[0]}'.")
    reason = "outside the split folders"
    left_out = [LeftOut(printable(name), reason) for name in [*(path.name for path in files), *others]]
    warnings = [DataWarning("folders", f"{root / name} is not a split folder and was left out.") for name in others]
    return {split: splits[split] for split in SPLITS if split in splits}, left_out, warnings
