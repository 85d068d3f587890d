"""Runs every command of the course and compares its output and figures with what the pages show.

``python docs/run_course.py [PAGE]...`` reports the differences (exit status 1); with ``--update`` it writes the output
and the figures into the pages instead. A page holds

- blocks of commands with their output, which run one after the other in a new folder beside a copy of ``recipes/``:

      <!-- run: tolerance 0.1 -->
      ```console
      $ dlcli train recipes/digits_convnet.yaml --quiet
      …
      ```

  A line ``…`` stands for any number of lines; seconds, which no two runs share, are not compared; with a tolerance,
  neither does a number that differs from the page's by at most that share of it, or a tenth of it absolutely. With
  ``<!-- run: varies -->``, only the number of lines is compared: which words a trained network finds important, for
  example, depends on the last digits of a processor.
- figures, each with the file that the commands draw: ``<!-- drawn: edges.png -->``, then the image of the page. It must
  have the same size, and the same pixels but for ``MOST_PIXELS`` of them where numbers have a tolerance; with
  ``<!-- drawn: edges.png, varies -->``, such as samples that were chosen by their errors, only the size is compared.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "docs" / "course"
BLOCK = re.compile(
    r"<!-- run(?:: (?:tolerance ([0-9.]+)|(varies)))? -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
FIGURE = re.compile(r"<!-- drawn: (\S+?)(, varies)? -->\n!\[[^\]]*\]\(([^)]+)\)")
SECONDS = re.compile(r"\d+(\.\d+)?(?= (s|min)\b)")
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
ELLIPSIS = "…"
EXACT = 1e-6  # for numbers of which nothing is random: the last digit may be rounded otherwise
MOST_PIXELS = 0.25  # share of a figure's pixels that may differ where numbers may
FEW_PIXELS = 0.03  # the same where numbers are exact: a figure of the documentation has fewer colors
NUM_COLORS = 128  # of a figure in the documentation, which keeps it small
MOST_WIDTH = 1200  # of such a figure, in pixels
PAGE_MINUTES = 30
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}  # sums in one order, however many cores


@dataclass(frozen=True)
class Block:
    """Commands of a page that are run, and what they print."""

    line: int
    tolerance: float  # infinite if its output varies
    steps: tuple[tuple[str, tuple[str, ...]], ...]  # each command, which may have several lines, and its output


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are run, in their order."""
    found = []
    for match in BLOCK.finditer(text):
        steps: list[tuple[str, list[str]]] = []
        for line in match[3].splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif not steps:
                raise ValueError(f"a block must start with a command. Received '{line}'.")
            elif steps[-1][0].endswith("\\") and not steps[-1][1]:
                steps[-1] = (f"{steps[-1][0]}\n{line}", [])
            else:
                steps[-1][1].append(line)
        line_number = text.count("\n", 0, match.start()) + 1
        tolerance = math.inf if match[2] else float(match[1] or EXACT)
        found.append(Block(line_number, tolerance, tuple((c, tuple(out)) for c, out in steps)))
    return found


def differences(shown: Sequence[str], printed: Sequence[str], tolerance: float) -> list[str]:
    """How what was printed differs from what a page shows: a line for each difference, none if they agree."""
    parts = _split(shown)
    if len(parts) == 1 and len(shown) != len(printed):
        return [f"{len(shown)} lines are shown, {len(printed)} were printed:", *(f"  {line}" for line in printed[:20])]
    found = []
    position = 0
    for number, part in enumerate(parts):
        if number and number == len(parts) - 1:  # what comes after the last ellipsis is at the end
            position = max(position, len(printed) - len(part))
        elif number:
            position = _find(part, printed, position, tolerance)
        for line in part:
            other = printed[position] if position < len(printed) else "(nothing)"
            if not same(line, other, tolerance):
                found += [f"- {line}", f"+ {other}"]
            position += 1
    return found


def _split(lines: Sequence[str]) -> list[list[str]]:
    """The lines between ellipses."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == ELLIPSIS:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _find(part: list[str], printed: Sequence[str], start: int, tolerance: float) -> int:
    """Where the first of these lines is printed; ``start`` if it is not."""
    return next((i for i in range(start, len(printed)) if part and same(part[0], printed[i], tolerance)), start)


def same(shown: str, printed: str, tolerance: float) -> bool:
    """Whether two lines have the same words, and numbers that are equal up to the tolerance, if that is finite."""
    if math.isinf(tolerance):
        return True
    one, other = SECONDS.sub("0", shown), SECONDS.sub("0", printed)
    if NUMBER.sub("#", one).split() != NUMBER.sub("#", other).split():
        return False
    pairs = zip(NUMBER.finditer(one), NUMBER.finditer(other), strict=True)
    return all(_close(a[0], b[0], tolerance) for a, b in pairs)


def _close(shown: str, printed: str, tolerance: float) -> bool:
    one, other = float(shown.replace(",", "")), float(printed.replace(",", ""))
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance / 10)


def pixels_that_differ(one: Path, other: Path) -> float:
    """The share of pixels that are clearly different; 1 for figures of different size."""
    with Image.open(one) as first, Image.open(other) as second:
        a, b = (np.asarray(_small(image), dtype=np.int16) for image in (first, second))
    if a.shape != b.shape:
        return 1.0
    return float(np.mean(np.abs(a - b).max(axis=-1) > 64))


def _small(image: Image.Image) -> Image.Image:
    """In RGB, and not wider than a page."""
    height = round(image.height * MOST_WIDTH / image.width)
    small = image if image.width <= MOST_WIDTH else image.resize((MOST_WIDTH, height), Image.Resampling.LANCZOS)
    return small.convert("RGB")


def run(command: str, folder: Path) -> tuple[list[str], int]:
    """What a command prints on stdout and stderr, in lines, and its exit status."""
    environment = {**os.environ, **ONE_THREAD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60 * PAGE_MINUTES,
    )
    return [line.rstrip() for line in done.stdout.splitlines()], done.returncode


def check(page: Path, folder: Path, *, update: bool) -> list[str]:
    """Runs a page in a folder; the differences, each with the place in the page."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    text = page.read_text("utf-8")
    found: list[str] = []
    tolerance = EXACT
    for block in blocks(text):
        tolerance = max(tolerance, block.tolerance)
        for command, shown in block.steps:
            printed, status = run(command, folder)
            if status:
                found += [f"{page.name}:{block.line}: $ {command}", *printed, f"exit status {status}"]
            elif update:
                text = text.replace(_step(command, shown), _step(command, _elided(shown, printed)), 1)
            elif lines := differences(shown, printed, block.tolerance):
                found += [f"{page.name}:{block.line}: $ {command}", *lines]
    for drawn, varies, image in FIGURE.findall(text):
        source, target = folder / drawn, page.parent / image
        if not source.is_file():
            found.append(f"{page.name}: {drawn}: was not drawn.")
        elif update:
            target.parent.mkdir(exist_ok=True)
            with Image.open(source) as figure:
                _small(figure).quantize(NUM_COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
        else:
            share, most = pixels_that_differ(source, target), MOST_PIXELS if tolerance > EXACT else FEW_PIXELS
            if share == 1 or (share > most and not varies):
                found.append(f"{page.name}: {image}: {share:.0%} of the pixels differ from {drawn}.")
    if update:
        page.write_text(text, "utf-8")
    return found


def _step(command: str, output: Sequence[str]) -> str:
    return "\n".join([f"$ {command}", *output]) + "\n"


def _elided(shown: Sequence[str], printed: list[str]) -> list[str]:
    """What was printed, with as many lines around each ellipsis as the page shows."""
    parts = _split(shown)
    if len(parts) == 1:
        return printed
    first, last = len(parts[0]), len(parts[-1])
    middle = [line for part in parts[1:-1] for line in (*part, ELLIPSIS)]
    return [*printed[:first], ELLIPSIS, *middle, *(printed[-last:] if last else [])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages to run; all of docs/course by default")
    parser.add_argument("--update", action="store_true", help="write outputs and figures into the pages")
    arguments = parser.parse_args()
    found = []
    for page in arguments.pages or sorted(COURSE.glob("[0-9]*.md")):
        with tempfile.TemporaryDirectory(prefix="course-") as folder:
            lines = check(page, Path(folder), update=arguments.update)
        print(f"{page.name}: {'as shown' if not lines else 'differs'}", flush=True)
        found += lines
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
