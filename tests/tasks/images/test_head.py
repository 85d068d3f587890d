"""A new head, for two numbers of each image, which has no class: all that is shared works with it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.annotations import Target
from dlcli.data.images.dataset import assemble_images
from dlcli.data.images.samples import Dataset, ImageAnnotation, Samples
from dlcli.data.images.targets import ArrayTarget
from dlcli.data.listing import Listing
from dlcli.errors import InputError
from dlcli.recipe.load import ImageRecipe, load_text
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.evaluation_files import Destination, Source, write_evaluation
from dlcli.tasks.images import inspection, prediction
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.images.evaluation import evaluate
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.job import ImageJob, prepare
from dlcli.tasks.images.layer_table import table_of_recipe, table_of_run
from dlcli.tasks.images.network import Features, HeadOutputs
from dlcli.tasks.images.task import ImageTask
from dlcli.tasks.job import describe
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.task import EvaluationRequest, PredictionRequest, SampleShape
from dlcli.training.objectives.objective import Objective

NAMES = ("brightness", "contrast")
RECIPE = b"""
task: classification
data: {kind: digits, image_size: [8, 8], validation: 0.2, test: 0.2}
augment: {horizontal_flip: true, mixup: 0.2}
model: {kind: convnet, blocks: [{filters: 4}]}
train: {batch_size: 8, epochs: 1}
"""
NUM_SAMPLES = 40
QUIET = Console(quiet=True)


@dataclass(frozen=True)
class Numbers(ImageAnnotation):
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> "Numbers":
        return Numbers(self.values[index])

    def columns(self) -> Mapping[str, Sequence[str]]:
        return {name: [f"{value:g}" for value in column] for name, column in zip(NAMES, self.values.T, strict=True)}

    def target(self, policy: Any) -> Target:
        return ArrayTarget("value", self.values)


@dataclass(frozen=True)
class NumbersHead(ImageHead):
    recipe: ImageRecipe
    fact_names = ("mean",)

    def read(self, section: Any, console: Console, *, classes: Any = None, aliases: Any = ()) -> Dataset:
        pixels = np.random.default_rng(0).integers(0, 256, (NUM_SAMPLES, 8, 8, 1), np.uint8)
        values = np.stack([pixels.mean(axis=(1, 2, 3)), pixels.std(axis=(1, 2, 3))], axis=1).astype(np.float32)
        listing = Listing(
            names=tuple(f"{i:02}" for i in range(NUM_SAMPLES)),
            labels=np.zeros(NUM_SAMPLES, np.int32),
            arrays=pixels,
            annotations={"numbers": Numbers(values)},
        )
        resizing = {
            "image_size": section.image_size,
            "resize": "stretch",
            "interpolation": "bilinear",
            "antialias": True,
        }
        splits = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
        common: Any = {"color_mode": None, **resizing, **splits}
        return assemble_images({"train": listing}, NAMES, source="numbers", has_classes=False, common=common)

    def info(self, dataset: Dataset) -> TargetInfo:
        return TargetInfo(dataset.classes, {"mean": numbers_of(dataset.splits["train"]).mean(axis=0).tolist()})

    def summary(self, info: TargetInfo) -> str:
        return f"{len(info.names)} numbers"

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        value = keras.layers.Dense(len(info.names), dtype="float32", name="value")(base.vector)
        return HeadOutputs(final=value, trained=value)

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model, layer="value", noun="numbers")

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        return Objective(
            loss=lambda outputs, batch: tf.reduce_mean(tf.square(outputs - batch["y"]["value"]), axis=-1), metrics={}
        )

    def plot_batch(self, images: np.ndarray, entries: Entries, info: TargetInfo) -> bytes:
        assert entries["value"].shape == (len(images), 2)
        return b"png"

    def preview(
        self,
        columns: Sequence[tuple[str, np.ndarray, Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        assert tuple(names) == NAMES
        for of_column in entries:
            np.testing.assert_array_equal(of_column["value"], entries[0]["value"])
        return super().preview(columns, entries, names)

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        outputs = [found for _, (found,) in predict_batches(model, samples, batch_size=8, console=QUIET)]
        mean = np.array(trained.info.facts["mean"])
        metrics = {
            "mse": float(np.mean((np.concatenate(outputs) - numbers_of(samples)) ** 2)),
            "baseline_mse": float(np.mean((mean - numbers_of(samples)) ** 2)),
        }
        write_evaluation(to, metrics, tables={}, others={})
        return metrics

    def predict(self, outputs: Outputs, samples: Samples, **keys: Any) -> Predicted:
        found = [of_batch for _, (of_batch,) in outputs(samples)]
        return Predicted([{"predicted": row.tolist()} for row in np.concatenate(found)])


def numbers_of(samples: Samples) -> np.ndarray:
    numbers = samples.annotations["numbers"]
    assert isinstance(numbers, Numbers)
    return numbers.values


@pytest.fixture(scope="module")
def loaded() -> Any:
    return load_text(RECIPE, Path("recipe.yaml"))


@pytest.fixture(scope="module")
def head(loaded: Any) -> NumbersHead:
    return NumbersHead(loaded.recipe)


@pytest.fixture(scope="module")
def job(loaded: Any, head: NumbersHead) -> ImageJob:
    return prepare(loaded, head, Device("cpu", "CPU"), QUIET)


@pytest.fixture
def run(job: ImageJob, tmp_path: Path) -> RunDir:
    """A run that the job has completed, without training."""
    run = RunDir(tmp_path / "run")
    run.plots.mkdir(parents=True)
    run.config.write_bytes(RECIPE)
    job.write_initial_files(run)
    job.model.save(run.model)
    data = {"fingerprint": job.dataset.fingerprint(), "samples": {"train": 24}, **job.data_info()}
    info = {"status": "completed", "config": {}, "data": data, "best": None, "final": None}
    run.info.write_text(json.dumps(info))
    return run


def test_the_job_trains_on_batches_without_a_class(job: ImageJob, capsys: pytest.CaptureFixture[str]) -> None:
    describe(replace(job, console=Console(quiet=False)), None)
    assert "data: 24 train, 8 validation, 8 test; 2 numbers; sample shape 8x8x1" in capsys.readouterr().err
    data = job.train_data
    assert data.is_random  # mixed too
    batch = data.assemble(data.element(data.source(0), tf.constant(0, tf.int64)))
    assert set(batch["y"]) == {"value"}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(job.objective(in_training=True).loss(job.trained(batch["x"], training=True), batch))
    assert all(gradient is not None for gradient in tape.gradient(loss, job.model.trainable_variables))


def test_a_run_records_the_head_s_facts_and_is_evaluated_and_predicted(
    run: RunDir, head: NumbersHead, job: ImageJob, tmp_path: Path
) -> None:
    assert head.recorded(run) == job.info
    metrics = evaluate(run, head, EvaluationRequest(split="test"), QUIET)
    samples = job.dataset.splits["test"]
    expected = job.model(samples.load(np.arange(len(samples))).astype(np.float32)).numpy()
    assert metrics["mse"] == pytest.approx(np.mean((expected - numbers_of(samples)) ** 2), rel=1e-5)
    np.savez(tmp_path / "new.npz", x=samples.load(np.arange(3)))
    found = prediction.predict(run, head, PredictionRequest([tmp_path / "new.npz"]), QUIET)["predictions"]
    np.testing.assert_allclose([row["predicted"] for row in found], expected[:3], rtol=1e-5)
    assert table_of_run(run, head, {"shape": [8, 8, 1]}).rows == job.table().rows


def test_its_data_are_inspected(loaded: Any, head: NumbersHead, tmp_path: Path) -> None:
    report = inspection.check(loaded.recipe.data, head, QUIET)
    assert report["splits"] == {"train": {"samples": 24}, "validation": {"samples": 8}, "test": {"samples": 8}}
    assert report["problems"] == 0
    assert inspection.divide(loaded, head, tmp_path / "split.csv", QUIET)["test"] == {"samples": 8}
    assert (tmp_path / "split.csv").read_text().splitlines()[0].endswith("brightness,contrast")
    inspection.preview(loaded, head, tmp_path / "preview.png", num_samples=2, num_epochs=1, console=QUIET)
    assert (tmp_path / "preview.png").stat().st_size > 0
    assert inspection.stats(loaded, head, QUIET)["shape"] == [8, 8, 1]


def test_its_network_is_summarized_without_data(loaded: Any, head: NumbersHead) -> None:
    table, num_samples = table_of_recipe(loaded, head, SampleShape((8, 8, 1), 5), QUIET)
    assert (table.rows[-1].name, num_samples) == ("value", None)


@pytest.mark.parametrize("task", ["classification", "localization"])
def test_samples_without_the_ground_truth_of_a_task_are_not_evaluated(task: str, job: ImageJob, tmp_path: Path) -> None:
    data = {"classification": "digits", "localization": "shapes"}[task]
    text = f"task: {task}\ndata: {{kind: {data}}}\nmodel: {{kind: mlp}}\n"
    recipe = load_text(text.encode(), tmp_path / "x.yaml").recipe
    made = task_of(recipe)
    assert isinstance(made, ImageTask)
    to = Destination(tmp_path / "evaluation", Source("numbers.yaml"))
    trained = Trained(TargetInfo(("a", "b")))
    with pytest.raises(InputError, match=r"numbers\.yaml: each image must have a class"):
        made.head.evaluate(to, job.model, job.dataset.splits["test"], trained=trained, console=QUIET)
