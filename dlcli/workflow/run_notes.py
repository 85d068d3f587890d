"""Tags and a note of a run: in a file of their own, so that a run that is being trained can have them too."""

from typing import Any

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import check_keys, read_json
from dlcli.rundir.runs import check_name
from dlcli.rundir.writing import replace_json

MAX_NOTE = 2000  # characters
MAX_TAGS = 50


def read_notes(run: RunDir) -> dict[str, Any]:
    """The ``tags`` of a run, sorted, and its ``note``; empty without any.

    Raises:
        InputError: notes.json is corrupt.
    """
    path = run.notes
    if not path.exists():
        return {"tags": [], "note": ""}
    notes = read_json(path)
    check_keys(path, notes, tags=list, note=str)
    return {"tags": [str(tag) for tag in notes["tags"]], "note": notes["note"]}


def change_tags(run: RunDir, tags: tuple[str, ...], *, is_removed: bool) -> list[str]:
    """Add tags to a run, or remove them, and return those it has then.

    Raises:
        InputError: a tag is not valid, or there are too many.
    """
    notes = read_notes(run)
    if not is_removed:
        for tag in tags:
            check_name(tag, of="tag's")
            if tag == "null":  # which means without tags in conditions
                raise InputError("a tag's name must not be null. Choose another.")
    changed = set(notes["tags"]) - set(tags) if is_removed else {*notes["tags"], *tags}
    if len(changed) > MAX_TAGS:
        raise InputError(f"{run.path}: a run may have at most {MAX_TAGS} tags. Remove some with --remove.")
    _write(run, notes, tags=sorted(changed))
    return sorted(changed)


def change_note(run: RunDir, text: str) -> None:
    """Replace the note of a run; an empty text removes it.

    Raises:
        InputError: the text is too long, or null.
    """
    if len(text) > MAX_NOTE:
        raise InputError(f"{run.path}: a note may have at most {MAX_NOTE:,} characters. Received {len(text):,}.")
    if text == "null":  # which means without a note in conditions
        raise InputError(f"{run.path}: a note must not be null. An empty text removes it.")
    _write(run, read_notes(run), note=text)


def _write(run: RunDir, notes: dict[str, Any], **changes: Any) -> None:
    new = {**notes, **changes}
    if new != notes:
        replace_json(run.notes, new)
