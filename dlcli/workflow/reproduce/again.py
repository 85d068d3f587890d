"""What all reproductions have in common."""

from pathlib import Path
from typing import Any

SUFFIX = "-reproduced"
"""Of the name of what is trained again."""


class NotTheSame(Exception):
    """What would be trained differs from what was trained; the message says in what."""


def different(place: Path, differs: str, other: Path | None = None) -> dict[str, Any]:
    """What is returned of two of which the recipe or the data differ, so that no numbers are compared.

    Args:
        place, other: the directories; None if nothing was trained again.
        differs: in what they differ.
    """
    reproduction = None if other is None else str(other)
    found = {"reproduced": False, "verdict": "different", "differs": differs}
    return {"run": str(place), "reproduction": reproduction, **found}
