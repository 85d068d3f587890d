"""Step prediction on synthetic problems such as the copy task: bits to predict at some of the steps."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.synthetic.copy_tasks import (
    NUM_TEST,
    NUM_VALIDATION,
    TRAIN,
    VALIDATION,
    CopyTask,
    Made,
    MadeBatches,
    MadeDataset,
)
from dlcli.errors import CheckFailed, InputError
from dlcli.exporting.exportable import Exportable
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import series_input
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.sequence_model import Ntm
from dlcli.recipe.tasks.step_prediction import RepeatCopy, StepPrediction
from dlcli.replicas import divided
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_file
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.checks import build_checked
from dlcli.tasks.evaluation_files import Destination, Source, write_evaluation
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.memory_explanation import explain_memory
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples
from dlcli.tasks.run_models import BestModel, load_model
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork, own_layers, slow_on_gpu, steps_of
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.step_exporting import exportable
from dlcli.tasks.task import EvaluationRequest, Explained, ExplanationRequest, ExportRequest, Task
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective

BYTES_PER_VALUE = 4
NUM_ADDRESSINGS = 5  # per head, kept for the gradient: by content, gated, shifted, sharpened, and the previous one


@dataclass(frozen=True)
class StepPredictionJob(NetworkJob):
    """A job that trains a network to predict bits at each step of synthetic sequences."""

    recipe: StepPrediction
    dataset: MadeDataset
    train_data: MadeBatches
    validation_data: MadeBatches

    @property
    def custom_layers(self) -> list[str]:
        return own_layers(self.recipe.model)

    def table(self) -> LayerTable:
        return layer_table(self.trained, steps=_longest(self.dataset))

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        return sequence_objectives.bits()

    def overfit_data(self, num_batches: int) -> MadeBatches:
        size = self.recipe.train.batch_size
        return MadeBatches(self.dataset.task, part=VALIDATION, num_samples=num_batches * size, batch_size=size)

    def data_summary(self) -> str:
        low, high = self.dataset.task.lengths
        tests = ", ".join(str(length) for length, _ in self.dataset.test)
        return (
            f"{self.dataset.task.bits} bits per step, lengths {low} to {high}, new in every epoch; test lengths {tests}"
        )

    def data_info(self) -> dict[str, Any]:
        return {"steps": _longest(self.dataset)}

    def write_initial_files(self, run: RunDir) -> None:
        x, bits, is_target = self.train_data.make(0, 0)
        replace_file(run.plots / "batch.png", sequence_plots.bit_sequences(x, bits * is_target[..., None]))

    def build_model(self) -> keras.Model:
        return build_step_predictor(self.recipe, self.dataset.task).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        to = Destination(run.evaluation("test"))
        return _evaluate(to, model, self.dataset, console=self.console)


def prepare(loaded: LoadedRecipe, recipe: StepPrediction, device: Device, console: Console) -> StepPredictionJob:
    """Check the recipe and build the model.

    Raises:
        InputError: the network cannot be built, or does not fit the memory of this machine.
    """
    train, dataset = recipe.train, dataset_of(recipe)

    def build() -> SequenceNetwork:
        return build_step_predictor(recipe, dataset.task)

    def memory() -> TrainingMemory:
        table = layer_table(build().trained, steps=_longest(dataset))
        memory, batch_size = training_memory_of(table, train, recipe.data.num_samples)
        more = BYTES_PER_VALUE * batch_size * _longest(dataset) * _values_per_step(recipe)
        return replace(memory, activations=memory.activations + more)

    network = build_checked(loaded, has_validation=True, memory_of=memory, build=build)
    size = train.batch_size
    return StepPredictionJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        network=network,
        train_data=MadeBatches(dataset.task, part=TRAIN, num_samples=recipe.data.num_samples, batch_size=size),
        validation_data=MadeBatches(dataset.task, part=VALIDATION, num_samples=NUM_VALIDATION, batch_size=size),
        device=device,
        console=console,
    )


def _values_per_step(recipe: StepPrediction) -> int:
    """Values per step that training keeps besides the layers' outputs: inputs and targets, and for a Neural Turing
    Machine its memory before and after each write and the intermediate addressings of its heads.
    """
    num_values = 3 * recipe.data.bits + 2
    if isinstance(recipe.model, Ntm):
        (rows, width), heads = recipe.model.memory, recipe.model.read_heads + recipe.model.write_heads
        num_values += rows * width * (1 + recipe.model.write_heads) + NUM_ADDRESSINGS * heads * rows
    return num_values


def dataset_of(recipe: StepPrediction) -> MadeDataset:
    """The description from which a recipe's samples are generated."""
    data = recipe.data
    repeats = data.repeats if isinstance(data, RepeatCopy) else None
    times = 1
    if isinstance(data, RepeatCopy):
        times = data.test_repeats or data.repeats[1]
    test = tuple((length, times) for length in data.final_test_lengths)
    return MadeDataset(
        task=CopyTask(lengths=data.lengths, bits=data.bits, repeats=repeats, seed=data.seed),
        splits={
            "train": Made(data.num_samples),
            "validation": Made(NUM_VALIDATION),
            "test": Made(NUM_TEST * len(test)),
        },
        test=test,
    )


def evaluate(run: RunDir, recipe: StepPrediction, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """Evaluate a run's best model on the test sequences, which are the same for every run of a recipe.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best, dataset = load_predictor(run, recipe, console), dataset_of(recipe)
    to = Destination(run.evaluation("test"), Source(epoch=best.epoch), request)
    metrics = _evaluate(to, best.model, dataset, console=console)
    return {"run": str(run.path), "split": "test", "folder": str(to.folder), **to.source.facts, **metrics}


def load_predictor(run: RunDir, recipe: StepPrediction, console: Console) -> BestModel:
    """Load the best model of a run: float32 ``[b, steps, bits + 1]`` -> probabilities of bits.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best = load_model(run, console)
    model, dataset = best.model, dataset_of(recipe)
    expected = (dataset.task.num_features, dataset.task.bits)
    received = (model.inputs[0].shape[-1], model.output.shape[-1])
    if received != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it must take {expected[0]} features and predict "
            f"{expected[1]} bits. Received {received[0]} and {received[1]}."
        )
    return best


def _evaluate(to: Destination, model: keras.Model, dataset: MadeDataset, *, console: Console) -> dict[str, Any]:
    """Write metrics.json, by_length.csv with a row for each length, and a plot of predictions."""
    compiled = tf.function(divided(lambda x: model(x, training=False)), reduce_retracing=True, autograph=False)
    rows, shown = [], None
    for done, (length, times) in enumerate(dataset.test, start=1):
        x, bits, is_target = dataset.test_part(length, times)
        probabilities = compiled(tf.constant(x)).numpy()
        if not np.isfinite(probabilities).all():
            raise CheckFailed(f"the model's outputs are not finite at length {length}")
        wrong = (((probabilities > 0.5) != (bits > 0.5)) * is_target[..., None]).sum(axis=(1, 2))
        rows.append(
            {
                "length": length,
                "times": times,
                "sequences": len(x),
                "bits": int(is_target[0].sum()) * bits.shape[-1],
                "bits_wrong": float(wrong.mean()),
                "exact": float((wrong == 0).mean()),
            }
        )
        shown = x[:1], bits[:1] * is_target[:1, :, None], probabilities[:1] * is_target[:1, :, None]
        console.evaluating(done, len(dataset.test))
    metrics: dict[str, Any] = {"samples": sum(row["sequences"] for row in rows)}
    for name in ("bits_wrong", "exact"):
        metrics[name] = float(np.mean([row[name] for row in rows]))
        metrics |= {f"{name}_at_{row['length']}": row[name] for row in rows}
    assert shown is not None
    write_evaluation(
        to,
        metrics,
        tables={"by_length.csv": rows},
        others={"predictions.png": sequence_plots.bit_sequences(*shown)},
    )
    return metrics


def _longest(dataset: MadeDataset) -> int:
    """Number of steps of the longest training sequence."""
    times = 1 if dataset.task.repeats is None else dataset.task.repeats[1]
    return dataset.task.lengths[1] * (1 + times) + 1


def build_step_predictor(recipe: StepPrediction, task: CopyTask) -> SequenceNetwork:
    """Build the network that predicts bits at each step, from inputs that are not standardized."""
    section, num_features = recipe.model, task.num_features
    scale = Scale(np.zeros(num_features), np.ones(num_features))
    values = keras.Input(shape=(None, num_features), dtype="float32", name="values")
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    x = heads.dense_layers(steps_of(section, x, mask), dense=(), dropout=section.dropout)
    logits = keras.layers.Dense(task.bits, dtype="float32", name="logits")(x)
    probabilities = keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")(logits)
    model = keras.Model(values, probabilities, name=section.kind)
    return SequenceNetwork(model, keras.Model(values, logits, name=f"{section.kind}_logits"))


@dataclass(frozen=True)
class StepPredictionTask(Task):
    """Prediction of bits at each step of a synthetic problem, such as the copy task."""

    recipe: StepPrediction

    def open_data(self, loaded: LoadedRecipe, console: Console) -> MadeDataset:
        return dataset_of(self.recipe)

    def prepare(
        self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True
    ) -> StepPredictionJob:
        return prepare(loaded, self.recipe, device, console)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluate(run, self.recipe, request, console)

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        best, dataset = load_predictor(run, self.recipe, console), dataset_of(self.recipe)
        return exportable(best, dataset, request, lambda to, model: _evaluate(to, model, dataset, console=console))

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        best = load_predictor(run, self.recipe, console)
        return explain_memory(run, best, dataset_of(self.recipe), request, console)

    def recurrent_samples(self, run: RunDir, request: ExplanationRequest, console: Console) -> RecurrentSamples:
        best, dataset = load_predictor(run, self.recipe, console), dataset_of(self.recipe)
        sequences = dataset.test_part(*dataset.test[0])[0][: request.limit or NUM_SEQUENCES]
        return RecurrentSamples(best, [sequence[None] for sequence in sequences], is_class=False)

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        dataset = dataset_of(self.recipe)
        return layer_table(build_step_predictor(self.recipe, dataset.task).trained, steps=_longest(dataset))

    @property
    def remark(self) -> str:
        return slow_on_gpu(self.recipe.model)
