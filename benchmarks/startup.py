"""Time and memory of commands that need no model.

    python benchmarks/startup.py [--runs 15]

Whole processes: ``dlcli --help``, and ``dlcli train`` on a recipe with errors, compared with an empty Python program.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

FAULTY = "task: classification\ndata: {kind: digits}\nmodel: {kind: convet}\ntrain: {epochs: many}\n"


def measure(command: list[str], runs: int) -> tuple[float, float]:
    """Median seconds and peak resident MiB of a command, after a warm-up run."""
    seconds, peaks = [], []
    for number in range(runs + 1):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        usage = os.wait4(process.pid, 0)[2]
        if number:
            seconds.append(time.perf_counter() - start)
            peaks.append(usage.ru_maxrss / 1024)
    return statistics.median(seconds), statistics.median(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    dlcli = shutil.which("dlcli", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if dlcli is None:
        raise SystemExit("dlcli is not installed here")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(FAULTY)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "dlcli --help (target: 0.1 s, 40 MiB)": [dlcli, "--help"],
            "a recipe's errors (target: 0.6 s)": [dlcli, "train", str(recipe)],
        }
        for title, command in commands.items():
            seconds, peak = measure(command, arguments.runs)
            print(f"  {title:42} {seconds:6.3f} s  {peak:6.1f} MiB")


if __name__ == "__main__":
    main()
