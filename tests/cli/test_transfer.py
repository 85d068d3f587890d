"""What dlcli transfer prints of a trained run, whatever its task."""

import json
from pathlib import Path

import pytest

from dlcli.cli import transfer

MATRICES = {
    ("cat", "dog"): [[3, 1], [0, 4]],
    ("cat", "dog", "background"): [[3, 1, 1], [0, 4, 0], [2, 0, 0]],  # of a detector
}


@pytest.mark.parametrize("names", MATRICES)
@pytest.mark.parametrize("plot", ["mistakes", "detections", None])
def test_the_confusion_matrix_and_the_plot_of_errors(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    names: tuple[str, ...],
    plot: str | None,
) -> None:
    monkeypatch.setattr(transfer, "write_result", lambda result: None)
    monkeypatch.setattr("dlcli.rundir.directory.RunDir.read_classes", lambda run: ("cat", "dog"))
    for folder in ("plots", "evaluation/test"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "evaluation/test/metrics.json").write_text(json.dumps({"confusion_matrix": MATRICES[names]}))
    if plot is not None:
        (tmp_path / f"plots/{plot}.png").touch()
    transfer._show({"run": str(tmp_path), "evaluated": "test"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == list(names)
    assert lines[2].split() == ["cat", *map(str, MATRICES[names][0])]
    assert lines[2 + len(names) :] == ([] if plot is None else [f"{plot}: {tmp_path}/plots/{plot}.png"])
