"""Files of polygons, one for each image. Needs no TensorFlow."""

from pathlib import Path

from dlcli.data.files import name_below
from dlcli.data.folders import walk
from dlcli.data.images.discovery import hold_runs
from dlcli.data.junk import is_junk, reason_of_junk
from dlcli.data.splits import LeftOut


def list_json(folder: Path, root: Path) -> tuple[list[Path], list[LeftOut]]:
    """The .json files below a folder, sorted by path, and what is junk."""
    found: list[Path] = []
    left_out: list[LeftOut] = []
    for walked in walk(folder, root=root):
        if walked.left_out is not None or (walked.path != folder and hold_runs(walked.folders)):
            walked.folders.clear()
            continue
        for name in walked.files:
            if is_junk(name):
                left_out.append(LeftOut(name_below(root, walked.path / name), reason_of_junk(name)))
            elif name.lower().endswith(".json"):
                found.append(walked.path / name)
        walked.folders[:] = [path for path in walked.folders if not is_junk(path.name)]
    return sorted(found), left_out
