"""One long text for a language model, split by position."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.files import printable
from dlcli.data.split_folders import files_by_split
from dlcli.data.splits import SPLIT_COLUMNS, SPLITS, DataWarning, LeftOut
from dlcli.data.text.files import read_whole
from dlcli.errors import InputError

DEFAULT_VALIDATION, DEFAULT_TEST = 0.05, 0.1  # without files of their own


@dataclass(frozen=True)
class Passage:
    """The text of a split, and its place: "shakespeare.txt, characters 1 to 948,084"."""

    text: str
    place: str

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class LongTexts:
    """One long text for each split."""

    splits: dict[str, Passage]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 over each split's name and content."""
        rows = [[row["split"], row["digest"]] for row in self.split_rows()]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """A row for each split, because there are no samples to name."""
        rows = []
        for split, passage in self.splits.items():
            digest = hashlib.sha256(passage.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
            rows.append(dict(zip(SPLIT_COLUMNS, (passage.place, split, "", "", digest), strict=True)))
        return rows


def read_long_text(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    validation: float | None,
    test: float | None,
    encoding: str,
) -> LongTexts:
    """The text of a file, split unless there are further files for validation and test.

    Args:
        path: the file, or a folder with one for each split.
        validation, test: proportions of the characters; test is the end of the text, validation the part before it.

    Raises:
        InputError: a file cannot be read or has no text, or train would have none.
    """
    files = files_by_split(Path(path), validation_path=validation_path, test_path=test_path)
    for split, share in (("validation", validation), ("test", test)):
        if split in files and share:
            raise InputError(f"{path}: has a file for {split}, '{printable(files[split].name)}': remove data.{split}.")
    whole = read_whole(files["train"], encoding)
    if validation is None:
        validation = 0.0 if "validation" in files else DEFAULT_VALIDATION
    if test is None:
        test = 0.0 if "test" in files else DEFAULT_TEST
    num_test, num_validation = round(test * len(whole)), round(validation * len(whole))
    first_of_test = len(whole) - num_test
    first_of_validation = first_of_test - num_validation
    if first_of_validation < 1:
        raise InputError(f"{path}: there must be text to train on. Lower data.validation or data.test.")
    own = files["train"]
    parts = {
        "train": (own, whole[:first_of_validation], 0),
        "validation": (own, whole[first_of_validation:first_of_test], first_of_validation),
        "test": (own, whole[first_of_test:], first_of_test),
    }
    for split in ("validation", "test"):
        if split in files:
            parts[split] = (files[split], read_whole(files[split], encoding), 0)
    missing = [
        DataWarning("splits", f"the text is too short for a {split} split of {share:g}: there is none.")
        for split, share, number in (("validation", validation, num_validation), ("test", test, num_test))
        if share > 0 and number == 0
    ]
    return LongTexts(
        warnings=tuple(missing),
        splits={
            split: Passage(text, f"{file.name}, characters {start + 1:,} to {start + len(text):,}")
            for split in SPLITS
            for file, text, start in [parts[split]]
            if text
        },
    )
