"""What the commands that write shards have in common."""

from collections.abc import Mapping
from typing import Any

from dlcli.cli.output import say


def say_shards(written: Mapping[str, Any]) -> None:
    """Print the numbers of images and shards, and the recipe's ``data`` section that reads them."""
    counts = ", ".join(f"{count:,} {split}" for split, count in written["samples"].items())
    noun = "1 shard" if written["shards"] == 1 else f"{written['shards']:,} shards"
    classes = f", {written['classes']:,} classes" if "classes" in written else ""
    say(f"{counts}{classes} in {noun} of {written['bytes'] / 1e6:,.1f} MB")
    say(f"data: {{kind: shards, path: {written['folder']}}}")
