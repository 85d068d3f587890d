"""Runs as a stranger might send them: values of other types, sizes and kinds anywhere in their files."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

OLD = Path(__file__).parent / "old_runs"
HOSTILE = "a\x1b[31mb\u202ec\x9bd"

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    10**400,
    "",
    HOSTILE,
    "../../../outside",
    "/etc/passwd",
    "x" * 100_000,
    [],
    {},
    [[]] * 100,
    {HOSTILE: HOSTILE},
    {"__class__": "os.system", "module": "os", "class_name": "system", "config": ["touch ran"]},
)
"""What a value is exchanged for."""

JSON_FILES = ("run.json", "labels.json", "checkpoints.json")
FILES = (*JSON_FILES, "config.yaml", "recipe.yaml", "metrics.csv", "split.csv", "train.log", "model.keras", "model.txt")


TEXT = (".yaml", ".csv", ".log", ".txt")


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values below one."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))[:20]
    return [found for key, inner in items for found in ((*path, key), *paths_in(inner, (*path, key)))]


def exchange(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def is_plain(file: Path) -> bool:
    """Whether a change before this one left it a file that can be read."""
    return file.is_file() and not file.is_symlink() and file.stat().st_size < 2**30


def change_json(run: Path, random_: random.Random) -> str:
    """Exchanges one value in one of the run's JSON files."""
    file = run / random_.choice([name for name in JSON_FILES if is_plain(run / name)])
    value = json.loads(file.read_text())
    path, new = random_.choice(paths_in(value)), random_.choice(VALUES)
    exchange(value, path, new)
    file.write_text(json.dumps(value))
    return f"{file.name}: {path} = {str(new)[:40]!a}"


def change_text(run: Path, random_: random.Random) -> str:
    """Exchanges one word in a text file by another value, or repeats or removes a line."""
    file = run / random_.choice([name for name in FILES if name.endswith(TEXT) and is_plain(run / name)])
    lines = file.read_text().split("\n")
    number = random_.randrange(len(lines))
    how = random_.choice(("value", "repeat", "remove", "nul"))
    if how == "value":
        lines[number] = lines[number].rpartition(" ")[0] + " " + str(random_.choice(VALUES))
    elif how == "repeat":
        lines[number:number] = [lines[number]] * 1000
    elif how == "remove":
        del lines[number]
    else:
        lines[number] = f"\0{lines[number]}"
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    return f"{file.name}:{number}: {how}"


def change_kind(run: Path, random_: random.Random) -> str:
    """Exchanges a file by a pipe, a link, a folder, a file with a hole of a terabyte, or random bytes."""
    file = run / random_.choice((*FILES, "run.lock", "checkpoints", "evaluation", "attacks", "plots", "tensorboard"))
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    how = random_.choice(("pipe", "link", "device", "folder", "hole", "bytes", "loop", "nothing"))
    match how:
        case "pipe":
            os.mkfifo(file)
        case "link":
            file.symlink_to("/etc/passwd")
        case "device":
            file.symlink_to("/dev/zero")
        case "folder":
            file.mkdir()
        case "hole":
            with open(file, "wb") as opened:
                opened.truncate(2**40)
        case "bytes":
            file.write_bytes(random_.randbytes(5000))
        case "loop":
            file.symlink_to(file.name)
    return f"{file.name}: {how}"


CHANGES: tuple[Callable[[Path, random.Random], str], ...] = (change_json, change_json, change_text, change_kind)


def make_hostile(folder: Path, seed: int, *, source: str = "digits", num_changes: int = 2) -> list[str]:
    """Writes runs/hostile below a folder, an old run that is changed in some places; returns what was changed."""
    random_ = random.Random(seed)
    run = folder / "runs" / "hostile"
    shutil.copytree(OLD / source, run)
    done = []
    for _ in range(num_changes):
        try:
            done.append(random_.choice(CHANGES)(run, random_))
        except (OSError, ValueError, IndexError):  # a change before it left nothing to change
            continue
    return done
