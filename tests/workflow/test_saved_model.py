"""The saved model of a run: another one in its place is refused, and resuming writes it again."""

import shutil
from pathlib import Path

import processes  # type: ignore[import-not-found]


def test_replaced_files_of_a_run_are_refused(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    shutil.copytree(trained, run)
    labels = run / "labels.json"
    right = labels.read_text()
    labels.write_text(right.replace('"1"', '"?"').replace('"2"', '"1"').replace('"?"', '"2"'))
    for command in (("evaluate", "tiny"), ("train", "--extend", "tiny", "--epochs", "3")):
        refused = processes.run(*command, folder=tmp_path, prepare=processes.without_plots).expect(2)
        assert "runs/tiny/labels.json: was changed: run.json has other classes" in refused.stderr
    labels.write_text(right)

    written = (run / "model.keras").read_bytes()
    (run / "model.keras").write_bytes(written + b" ")
    refused = processes.run("evaluate", "tiny", folder=tmp_path).expect(2)
    assert refused.stderr.startswith("runs/tiny/model.keras: is not the model that this run saved")

    (run / "model.keras").unlink()
    shutil.rmtree(run / "plots")
    lost = processes.run("evaluate", "tiny", folder=tmp_path).expect(2)
    assert lost.stderr.endswith("dlcli train --resume runs/tiny\n")
    before = (run / "metrics.csv").read_bytes()
    processes.run("train", "--resume", "tiny", folder=tmp_path, prepare=processes.without_plots).expect(0)
    assert (run / "metrics.csv").read_bytes() == before  # nothing was trained again
    assert (run / "plots" / "curves.png").exists()
    processes.run("evaluate", "tiny", folder=tmp_path, prepare=processes.without_plots).expect(0)


def test_a_folder_without_run_json(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "tiny")
    (tmp_path / "runs" / "tiny" / "run.json").unlink()
    refused = processes.run("runs", "show", "tiny", folder=tmp_path).expect(2)
    assert refused.stderr == "runs/tiny: is not a run directory: it has no run.json.\n"
