"""The objectives of one-stage detectors: values by hand, the normalizer, parts of a batch, and overfitting."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from dense_problem import evaluate, train  # type: ignore[import-not-found]
from detection_problem import (  # type: ignore[import-not-found]
    ANCHORS,
    NUM_CLASSES,
    Scenes,
    encode,
    make_model,
    make_objective,
)

from dlcli.training.objectives.objective import Objective


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("kind", ["fcos", "retinanet"])
def test_losses_are_divided_by_positives_and_images(kind: str) -> None:
    data, model = Scenes(), make_model(kind)
    objective = make_objective(kind)
    _, results = train(objective, data=data, learning_rate=0.0, model=model)
    outputs = [x.numpy() for x in model(data.x)]
    targets = {name: x.numpy() for name, x in objective.prepared(data.everything())["targets"].items()}
    is_positive = targets["classes"] >= 0
    assert 10 < is_positive.sum() < is_positive.size / 2
    normalizer = is_positive.sum() + len(data.x)

    p = 1 / (1 + np.exp(-outputs[0].astype(np.float64)))
    true = np.eye(NUM_CLASSES)[targets["classes"].clip(0)] * is_positive[..., None]
    focal = np.where(true > 0, -0.25 * (1 - p) ** 2 * np.log(p), -0.75 * p**2 * np.log(1 - p))
    expected = {"class_loss": focal[targets["classes"] != -2].sum() / normalizer}
    if kind == "fcos":
        giou = [
            keras.ops.convert_to_numpy(1.0 - _giou(a, b))
            for a, b in zip(outputs[1][is_positive], targets["boxes"][is_positive], strict=True)
        ]
        expected["box_loss"] = np.sum(giou) / normalizer
        q, t = 1 / (1 + np.exp(-outputs[2][..., 0].astype(np.float64))), targets["centerness"]
        entropy = -(t * np.log(q) + (1 - t) * np.log(1 - q))
        expected["centerness_loss"] = entropy[is_positive].sum() / normalizer
    else:
        d = np.abs(outputs[1] - encode(targets["boxes"], ANCHORS))[is_positive]
        expected["box_loss"] = np.where(d < 1 / 9, 4.5 * d**2, d - 1 / 18).sum() / normalizer
    expected["loss"] = sum(expected.values())
    assert {name: results[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def _giou(a: np.ndarray, b: np.ndarray) -> float:
    def area(box: np.ndarray) -> float:
        return float(np.prod(np.maximum(box[2:] - box[:2], 0)))

    common = area(np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]))
    union = area(a) + area(b) - common
    hull = area(np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])]))
    return common / union - (hull - union) / hull


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("kind", ["fcos", "retinanet"])
def test_parts_of_a_batch_give_the_update_and_loss_of_the_whole(kind: str) -> None:
    trained = [
        train(make_objective(kind), data=Scenes(), model=make_model(kind), num_parts=num_parts, learning_rate=0.1)
        for num_parts in (1, 3, 4)
    ]
    whole, results = trained[0]
    for parts, other in trained[1:]:
        for one, two in zip(whole.get_weights(), parts.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6)
        assert other == pytest.approx(results, rel=1e-5)
    start = make_model(kind).get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(whole.get_weights(), start, strict=True)) > 0.001


@pytest.mark.parametrize("kind", ["fcos", "retinanet"])
def test_images_without_objects_have_a_finite_loss_and_no_loss_of_boxes(kind: str) -> None:
    data, model = Scenes(), make_model(kind)
    data.classes[:] = -1
    data.boxes[:] = 0
    objective = make_objective(kind)
    batch = objective.prepared(data.everything())
    with tf.GradientTape() as tape:
        outputs = model(data.x)
        loss = tf.reduce_sum(objective.weight(batch) * objective.loss(outputs, batch))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients if gradient is not None)
    assert np.isfinite(float(loss))
    assert not np.any(objective.metrics["box_loss"](outputs, batch))
    assert objective.weight(batch).numpy().tolist() == [1.0] * 6


def fit(objective: Objective, model: keras.Model, batch: Any, *, num_steps: int) -> None:
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step() -> None:
        with tf.GradientTape() as tape:
            weight = objective.weight(batch)
            loss = tf.reduce_sum(weight * objective.minimized(model(batch["x"]), batch)) / tf.reduce_sum(weight)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in model.trainable_variables]))

    for _ in range(num_steps):
        step()


@pytest.mark.parametrize(("kind", "keys"), [("fcos", {}), ("retinanet", {}), ("retinanet", {"box_loss": "giou"})])
def test_a_batch_can_be_overfitted(kind: str, keys: dict[str, Any]) -> None:
    objective, model = make_objective(kind, **keys), make_model(kind)
    batch = objective.prepared(Scenes().everything())
    fit(objective, model, batch, num_steps=150)
    labels, boxes = (batch["targets"][name].numpy() for name in ("classes", "boxes"))
    outputs = [x.numpy() for x in model(batch["x"])]
    found, is_positive = outputs[1 if kind == "fcos" else 2], labels >= 0
    assert (outputs[0][labels == -1] < 0).mean() > 0.99
    assert np.mean(outputs[0].argmax(-1)[is_positive] == labels[is_positive]) > 0.99
    assert np.abs(found - boxes)[is_positive].mean() < 0.05
    if kind == "fcos":
        centerness = 1 / (1 + np.exp(-outputs[2][..., 0]))
        assert np.abs(centerness - batch["targets"]["centerness"].numpy())[is_positive].mean() < 0.05


def test_weights_of_the_losses() -> None:
    data, model = Scenes(), make_model("fcos")
    outputs = model(data.x)
    values = []
    for keys in ({}, {"box_weight": 3.0, "centerness_weight": 0.5}):
        objective = make_objective("fcos", **keys)
        batch = objective.prepared(data.everything())
        values.append({name: metric(outputs, batch).numpy() for name, metric in objective.metrics.items()})
        np.testing.assert_allclose(objective.loss(outputs, batch), sum(values[-1].values()), rtol=1e-5)
    np.testing.assert_allclose(values[1]["box_loss"], 3 * values[0]["box_loss"], rtol=1e-5)
    np.testing.assert_allclose(values[1]["centerness_loss"], values[0]["centerness_loss"] / 2, rtol=1e-5)


def train_on_one_and_two(output: Path, kind: str) -> None:
    """In a process of its own: the number of devices is fixed when TensorFlow starts."""
    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    data = Scenes(num_samples=7)  # with batches of 6, a last one of 1: the second replica has none
    for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two)):
        with strategy.scope():
            objective = make_objective(kind)
            model, results = train(objective, data=data, model=make_model(kind), num_parts=2, learning_rate=0.1)
            results |= {f"val_{key}": value for key, value in evaluate(model, objective, data).items()}
        weights = {f"weights{i}": np.asarray(v) for i, v in enumerate(model.trainable_variables)}
        np.savez(output / f"{name}.npz", **weights, **{key: np.array(value) for key, value in results.items()})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fcos", "retinanet"])
def test_two_replicas_give_the_weights_and_losses_of_one(tmp_path: Path, kind: str) -> None:
    processes.call(train_on_one_and_two, tmp_path, kind, folder=tmp_path).expect(0)
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    assert one.files == two.files
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-5, atol=2e-6, err_msg=name)
