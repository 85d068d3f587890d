"""``dlcli report``: what the page says of a real run, of a changed one, of two, and of one that is not complete."""

import json
import re
import shutil
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
import yaml

import dlcli.tasks
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.rundir.writing import replace_json
from dlcli.workflow.report.corrupt_files import corrupt_files
from dlcli.workflow.report.facts import spoken
from dlcli.workflow.report.sections import MISTAKE_PLOTS, RESULT_PLOTS


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A folder of runs with a copy of a run that was trained by the command line, with its plots."""
    shutil.copytree(trained, tmp_path / "runs" / "tiny")
    return tmp_path / "runs"


def report(folder: Path, *arguments: str) -> str:
    done = processes.run("report", *arguments, "--json", folder=folder).expect(0)
    return (folder / json.loads(done.stdout)["file"]).read_text()


def text_of(page: str) -> str:
    """The text of a page without its style and images, on one line."""
    body = page[page.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).replace("&#39;", "'")


def test_a_report_says_what_the_run_says(runs: Path) -> None:
    page = report(runs.parent)  # on the newest run
    text, info = text_of(page), read_json(runs / "tiny" / "run.json")
    metrics = read_json(runs / "tiny" / "evaluation" / "test" / "metrics.json")
    low, high = metrics["intervals"]["accuracy"]
    assert f"Accuracy on the test split: {metrics['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f})" in text
    for name in ("most_frequent", "pixels", "hog"):
        assert f"{metrics[f'baseline_{name}']:.4f}" in text
    assert f"It does not beat the best baseline, {metrics['baseline_pixels']:.4f}." in text
    for title in ("Verdict", "Data", "Training", "Results", "Mistakes", "Explanations", "Robustness", "Cost", "Limits"):
        assert f" {title} " in text
    assert "No better than the baseline" in text  # what training printed after its last epoch
    assert "dlcli train tiny.yaml" in text
    assert "No sample of another split has the content of a training sample" in text
    assert info["model"] in text
    for row in read_csv(runs / "tiny" / "evaluation" / "test" / "per_class.csv"):
        assert f" {row['class']} {row['support']} " in text
    assert page.count("data:image/webp;base64,") >= 3
    assert page.count("data:image/svg+xml;base64,") == 1
    assert len(page) < 2**20


def test_what_is_missing_names_the_command_that_makes_it(runs: Path) -> None:
    text = text_of(report(runs.parent, "tiny"))
    for verb in ("explain", "attack", "evaluate"):
        assert re.search(rf"To add this: dlcli {verb} runs/tiny", text), verb
    shutil.rmtree(runs / "tiny" / "evaluation")
    assert "There is no evaluation. To add this: dlcli evaluate runs/tiny" in text_of(report(runs.parent, "tiny"))


def test_results_of_an_earlier_model_are_left_out(runs: Path) -> None:
    folder = runs / "tiny" / "attacks" / "fgsm"
    folder.mkdir(parents=True)
    (folder / "robustness.csv").write_text("eps,clean_accuracy,robust_accuracy\n0.1,0.9,0.1234\n")
    (folder / "attack.json").write_text(json.dumps({"sha256": "other"}))
    assert "0.1234" not in text_of(report(runs.parent, "tiny"))
    (folder / "attack.json").write_text(json.dumps({"sha256": read_json(runs / "tiny" / "run.json")["model"]}))
    assert "fgsm 0.1000 0.9000 0.1234" in text_of(report(runs.parent, "tiny"))


def test_checks_are_shown_and_filters_and_gates_are_not_taken_for_maps(runs: Path) -> None:
    model = read_json(runs / "tiny" / "run.json")["model"]

    def write(name: str, plot: str, **content: object) -> Path:
        folder = runs / "tiny" / "explanations" / name
        folder.mkdir(parents=True)
        shutil.copy(runs / "tiny" / "plots" / "batch.png", folder / plot)
        (folder / "explanation.json").write_text(json.dumps({"sha256": model, **content}))
        return folder

    write("features-stage1", "stage1.png", source="test", settings={"features": {"stage1": "stage1"}})
    write("gates", "gates.png", gates=[])
    page = report(runs.parent, "tiny")
    assert "There are no explanations of what the model predicts." in page
    assert "The mistakes have no maps. To add this: <code>dlcli explain runs/tiny --mistakes</code>" in page
    assert "Patches of images that excite the filters of a stage most" in page
    assert "Gates of the recurrent layer" in page
    folder = write("integrated", "maps.png", source="test", settings={"methods": ["integrated"]}, samples=5)
    write("mistakes-integrated", "maps.png", source="test", settings={"methods": ["integrated"], "mistakes": True})
    page = report(runs.parent, "tiny")
    assert "The methods are not checked on this model." in page
    assert "explanations/integrated, of samples from: test." in page
    assert page.count('in the most confident mistakes"') == 1
    parts = {part: {"mean": 0.9, "standard_error": 0.01, "n": 16} for part in ("head", "all")}
    verdict = {**parts, "verdict": "fails the randomization check", "weak": None}
    areas = {"integrated": {"mean": 0.8125, "standard_error": 0.03125, "n": 16}, "random": parts["all"]}
    check = {"images": 16, "insertion": areas, "deletion": areas, "randomization": {"methods": {"integrated": verdict}}}
    (folder / "check.json").write_text(json.dumps(check))
    text = text_of(report(runs.parent, "tiny"))
    assert "Checked on 16 images" in text
    assert "Integrated fails the randomization check: its maps hardly depend on the weights" in text
    assert "integrated 0.812 ± 0.031 0.812 ± 0.031 random 0.900 ± 0.010" in text
    (folder / "check.json").write_text(json.dumps({"images": "many", "insertion": [1], "randomization": 3}))
    assert "explanations/integrated, of samples from: test." in text_of(report(runs.parent, "tiny"))
    shutil.rmtree(folder)
    folder = write("memory", "maps.png", source="test", settings={"methods": ["memory"]})
    (folder / "explanations.csv").write_text("length,same_rows,lag\n10,9 of 10,10\n")
    page = report(runs.parent, "tiny")
    assert "after they were written length same rows lag 10 9 of 10 10" in text_of(page)
    assert 'alt="Rows of the memory that are written and read at each step"' in page


def test_warnings_stand_in_the_verdict(runs: Path) -> None:
    with (runs / "tiny" / "train.log").open("a") as log:
        log.write("2026-01-01T00:00:00Z warning: class <b>cat</b> is never predicted\n")
    path = runs / "tiny" / "evaluation" / "test" / "metrics.json"
    replace_json(path, {**read_json(path), "trained_on": 7})
    page = report(runs.parent, "tiny")
    assert '<p class="warning">Class &lt;b&gt;cat&lt;/b&gt; is never predicted</p>' in page
    assert "7 of 60 samples were trained on: this is not a test score." in text_of(page)


def test_a_run_that_is_not_complete(runs: Path) -> None:
    replace_json(
        runs / "tiny" / "run.json", read_json(runs / "tiny" / "run.json") | {"status": "failed", "final": None}
    )
    accuracy = read_json(runs / "tiny" / "evaluation" / "test" / "metrics.json")["accuracy"]
    text = text_of(report(runs.parent, "tiny"))
    assert f"Accuracy on the test split: {accuracy:.4f}" in text  # by dlcli evaluate
    assert "The run is failed: no reason is recorded." in text
    card = processes.run("report", "tiny", "--card", folder=runs.parent).expect(2)
    assert card.stderr == "runs/tiny: is failed: a model card needs a complete run.\n"
    shutil.rmtree(runs / "tiny" / "evaluation")
    text = text_of(report(runs.parent, "tiny"))
    assert "The run has no score yet." in text
    done = processes.run("report", "tiny", "--card", folder=runs.parent).expect(2)
    assert done.stderr == "runs/tiny: is failed: a model card needs a complete run.\n"


def test_runs_that_cannot_be_compared(runs: Path) -> None:
    same = processes.run("report", "tiny", "runs/tiny", folder=runs.parent).expect(2)
    assert same.stderr == "runs/tiny: is the same run as runs/tiny. Name two different runs.\n"
    shutil.copytree(runs / "tiny", runs / "other")
    replace_json(runs / "other" / "run.json", read_json(runs / "other" / "run.json") | {"task": "tagging"})
    done = processes.run("report", "tiny", "other", folder=runs.parent).expect(2)
    assert "Compare runs of the same task." in done.stderr


def test_a_file_of_somebody_else_is_not_replaced(runs: Path) -> None:
    path = runs / "tiny" / "report.html"
    path.write_text("mine")
    done = processes.run("report", "tiny", folder=runs.parent).expect(2)
    assert done.stderr.startswith("runs/tiny/report.html: was not written by dlcli report. Use --force")
    assert path.read_text() == "mine"
    processes.run("report", "tiny", "--force", folder=runs.parent).expect(0)
    processes.run("report", "tiny", folder=runs.parent).expect(0)  # a report of ours is


def test_a_model_that_is_gone_or_truncated(runs: Path) -> None:
    model = runs / "tiny" / "model.keras"
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])
    reason = (
        "runs/tiny/model.keras: is not the model that this run saved: its SHA-256 differs from the one in run.json. "
        "Restore it from a copy."
    )
    assert f'<p class="warning">{reason}</p>' in report(runs.parent, "tiny")
    card = processes.run("report", "tiny", "--card", folder=runs.parent).expect(2)
    assert card.stderr == f"{reason}\n"
    model.unlink()
    run = RunDir(runs / "tiny")
    assert corrupt_files(run, run.read_info(), "test") == ["model.keras is missing."]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n garbage", b'{"a": 1}\n1,2,3\n'])
def test_each_corrupt_file_is_named(runs: Path, content: bytes) -> None:
    run = RunDir(runs / "tiny")
    assert corrupt_files(run, run.read_info(), "test") == []
    results = run.explanations / "maps"
    results.mkdir(parents=True)
    written = [
        results / name for name in ("explanation.json", "check.json", "explanations.csv", "maps.npz", "maps.png")
    ] + [run.config, run.labels, run.evaluation("test") / "mistakes.png", run.evaluation("test") / "per_class.csv"]
    for path in written:
        path.write_bytes(content)
    run.metrics.unlink()
    lines = corrupt_files(run, run.read_info(), "test")
    places = {line.split(": ")[0].split(":")[0] for line in lines}
    assert places == {str(path) for path in (*written, run.metrics)}


def test_a_truncated_table_is_named(runs: Path) -> None:
    run = RunDir(runs / "tiny")
    run.metrics.write_bytes(run.metrics.read_bytes()[:-3])
    reason = f"{run.metrics}: is truncated: its last line is incomplete. Restore it from a copy."
    assert corrupt_files(run, run.read_info(), "test") == [reason]


def test_of_many_corrupt_files_some_are_named(runs: Path) -> None:
    run = RunDir(runs / "tiny")
    for number in range(12):
        (run.plots / f"{number}.png").write_bytes(b"")
    lines = corrupt_files(run, run.read_info(), "test")
    assert len(lines) == 11
    assert lines[-1] == "2 more files are missing or corrupt."


def test_two_runs_beside_each_other(runs: Path) -> None:
    shutil.copytree(runs / "tiny", runs / "other")
    config = (runs / "other" / "run.json").read_text().replace('"seed": 0', '"seed": 5')
    (runs / "other" / "run.json").write_text(config)
    page = report(runs.parent, "tiny", "other")
    text = text_of(page)
    assert "Report on tiny and other" in text
    assert "train.seed 0 5" in text
    assert re.search(r"Accuracy: equal on \d+ test samples\.", text)
    assert text.count("Verdict") == 2
    assert (runs / "tiny" / "report-other.html").exists()
    assert len(page) < 2**21


def test_a_corrupt_run_is_one_line(runs: Path) -> None:
    path = runs / "tiny" / "evaluation" / "test" / "metrics.json"
    replace_json(path, read_json(path) | {"intervals": {"accuracy": ["low", "high"]}})
    done = processes.run("report", "tiny", folder=runs.parent).expect(2)
    assert done.stderr.startswith("runs/tiny: is corrupt: has a value that dlcli does not write (ValueError: ")
    assert not (runs / "tiny" / "report.html").exists()


def test_outputs(runs: Path) -> None:
    folder = runs.parent
    processes.run("report", "tiny", "-o", "page.html", folder=folder).expect(0)
    assert (folder / "page.html").read_text().startswith("<!DOCTYPE html>")
    again = processes.run("report", "tiny", "-o", "page.html", folder=folder).expect(2)
    assert "already exists" in again.stderr
    wrong = processes.run("report", "tiny", "-o", "page.pdf", folder=folder).expect(2)
    assert wrong.stderr == "page.pdf: expected a file name ending in .html.\n"
    both = processes.run("report", "tiny", "tiny", "--card", folder=folder).expect(2)
    assert "--card describes one run" in both.stderr


def test_a_model_card(runs: Path) -> None:
    folder, card = runs.parent, runs / "tiny" / "README.md"
    processes.run("report", "tiny", "--card", folder=folder).expect(0)
    _, front, body = card.read_text().split("---\n", 2)
    (model,) = yaml.safe_load(front)["model-index"]
    metrics = read_json(runs / "tiny" / "evaluation" / "test" / "metrics.json")
    assert yaml.safe_load(front)["pipeline_tag"] == "image-classification"
    written = {metric["type"]: metric["value"] for metric in model["results"][0]["metrics"]}
    assert written["accuracy"] == metrics["accuracy"]
    assert not any(name.startswith("baseline") for name in written)
    assert body.count("*To be filled in by a person:*") == 3
    processes.run("report", "tiny", "--card", folder=folder).expect(0)  # nobody has changed it

    card.write_text(card.read_text().replace("*To be filled in by a person:* known", "Known", 1))
    filled_in = card.read_text()
    done = processes.run("report", "tiny", "--card", folder=folder).expect(2)
    assert "was written or filled in by a person. Use --force" in done.stderr
    assert card.read_text() == filled_in
    processes.run("report", "tiny", "--card", "--force", folder=folder).expect(0)
    assert card.read_text() != filled_in


def test_the_plots_of_every_evaluation_are_shown() -> None:
    """Each file of a plot that a task's code names, but for those of data, training and explanations, and none else."""
    tasks = Path(dlcli.tasks.__file__).parent
    named = {name for file in tasks.rglob("*.py") for name in re.findall(r'"(\w+\.png)"', file.read_text())}
    of_others = {"batch.png", "maps.png", "attention.png", "hierarchy.png", "first_layer.png", "series.png"}
    assert named - of_others == {*RESULT_PLOTS, *MISTAKE_PLOTS}


def test_names_of_metrics_in_words() -> None:
    assert spoken("ridge_crps") == "ridge CRPS"
    assert spoken("tf_idf_micro_f1") == "TF-IDF micro F1"
    assert spoken("baseline_position_mean_iou") == "baseline position mean IoU"
    assert spoken("macro_f1") == "macro F1"


def test_a_folder_in_which_nothing_can_be_created(runs: Path) -> None:
    done = processes.run("report", "tiny", "-o", "/proc/report.html", folder=runs.parent).expect(2)
    assert done.stderr.startswith("/proc/report.html: ")
    assert len(done.stderr.splitlines()) == 1
