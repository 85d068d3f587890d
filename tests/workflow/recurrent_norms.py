"""The gradient norms of runs with a recurrent network."""

import json
from pathlib import Path

from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv


def assert_gradients_reach_back(folder: Path, name: str) -> None:
    """``dlcli explain RUN --gradient-norms`` has a finite norm, not zero, for each step before the end."""
    done = run("explain", name, "--gradient-norms", "--limit", 4, "--json", folder=folder)
    (network,) = json.loads(done.stdout)["networks"]
    rows = read_csv(folder / "runs" / name / "explanations" / "gradient-norms" / "gradient_norms.csv")
    assert [int(row["step"]) for row in rows] == [-step for step in range(1, network["steps"] + 1)]
    assert all(0 < float(row[kind]) < float("inf") for row in rows for kind in ("trained", "initial"))
    assert network["sequences"] == 4
