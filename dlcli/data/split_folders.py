"""Folders named after the splits they hold."""

import difflib
from pathlib import Path

from dlcli.data.files import list_folder, printable
from dlcli.data.listing import name_some
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError

SPLIT_OF = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}  # by folder name


def find_splits(root: Path) -> tuple[dict[str, Path], list[LeftOut], list[str]]:
    """The folder of each split; the root itself is train where its folders are classes.

    Folders named as splits are splits when nothing else stands beside them, or when train and another are among them:
    a data set of vehicles may well have a class "train".
    """
    folders, files = list_folder(root)
    by_name = {folder.name: folder for folder in folders if not folder.name.startswith(".")}
    words = [name for name in by_name if name.lower() in SPLIT_OF]
    others = [name for name in by_name if name.lower() not in SPLIT_OF]
    has_train = any(name.lower() == "train" for name in words)
    if not words or (others and not (has_train and len(words) > 1)):
        return {"train": root}, [], []
    splits: dict[str, Path] = {}
    for name in words:
        split = SPLIT_OF[name.lower()]
        if split in splits:
            raise InputError(
                f"{root}: each split must be in one folder. Received '{splits[split].name}' and '{name}': merge them."
            )
        splits[split] = by_name[name]
    if not has_train:
        raise InputError(f"{root}: there must be a folder 'train' beside {name_some(words)}.")
    for name in others:
        near = difflib.get_close_matches(name.lower(), SPLIT_OF, n=1, cutoff=0.7)
        if near:
            raise InputError(
                f"{root / name}: a split's folder must be train, validation, val or test: rename it to '{near[0]}'."
            )
    left_out = [LeftOut(printable(path.name), "outside the splits' folders") for path in files]
    left_out += [LeftOut(printable(name), "outside the splits' folders") for name in others]
    warnings = [f"{root / name} is no split's folder and was left out." for name in others]
    return {split: splits[split] for split in ("train", "validation", "test") if split in splits}, left_out, warnings
