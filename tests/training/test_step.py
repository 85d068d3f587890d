"""One step against hand-written gradients: batches, parts, clipping, weights, precision, replicas."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_problem import make_data, make_model, make_objective  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.training import schedule
from dlcli.training.objectives.objective import Objective
from dlcli.training.parts import divide
from dlcli.training.step import Adversary, Clipping, EvaluationStep, TrainStep, prediction


def make_step(model: keras.Model, data: Any, **keys: Any) -> TrainStep:
    optimizer = keys.pop("optimizer", None) or keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    defaults: dict[str, Any] = {
        "objective": make_objective(),
        "rate": schedule.constant(learning_rate=0.1),
        "clipping": None,
        "num_parts": 1,
        "loss_scaling": False,
    }
    return TrainStep(model=model, optimizer=optimizer, data=data, **{**defaults, **keys})


def weights_after(num_epochs: int = 2, **keys: Any) -> list[np.ndarray]:
    model = make_model(dropout=0.0, batch_norm=False)
    data = make_data(seed=3)
    step = make_step(model, data, **keys)
    for epoch in range(num_epochs):
        assert step.run(data.source(epoch), 0, data.num_steps)
    return [variable.numpy() for variable in model.trainable_variables]


def assert_close(one: list[np.ndarray], other: list[np.ndarray], tolerance: float = 1e-6) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_step_equals_a_hand_written_loop() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    optimizer = keras.optimizers.SGD(0.1)
    losses = []
    for epoch in range(2):
        order = data.order(epoch)
        for start in range(0, len(order), 8):
            batch = data.assemble({"index": tf.constant(order[start : start + 8])})
            with tf.GradientTape() as tape:
                logits = model(batch["x"], training=True)
                loss = tf.reduce_mean(
                    keras.losses.sparse_categorical_crossentropy(batch["y"]["class"], logits, from_logits=True)
                )
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            losses.append((float(loss), len(batch["index"])))
    assert_close(weights_after(2), [variable.numpy() for variable in model.trainable_variables])


def test_steps_that_xla_compiles_are_the_same() -> None:
    plain, compiled = weights_after(2), weights_after(2, xla=True)
    assert_close(plain, compiled, tolerance=1e-5)


def test_an_operation_that_xla_lacks_is_refused() -> None:
    objective = make_objective()

    def of_texts(outputs: Any, batch: Any) -> Any:
        digits = tf.strings.length(tf.strings.as_string(batch["y"]["class"]))
        return objective.minimized(outputs, batch) * tf.cast(digits, tf.float32)

    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    step = make_step(model, data, xla=True, objective=dataclasses.replace(objective, training_loss=of_texts))
    with pytest.raises(InputError) as caught:
        step.run(data.source(0), 0, data.num_steps)
    assert str(caught.value) == "train.xla: XLA cannot compile this network with its loss. Set it to false."


def test_results_are_weighted_means_over_all_samples() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    step = make_step(model, data, rate=schedule.constant(learning_rate=0.0))
    step.run(data.source(0), 0, data.num_steps)
    results = step.results()
    everything = data.assemble({"index": tf.range(data.num_samples, dtype=tf.int64)})
    logits = model(everything["x"])
    labels = everything["y"]["class"]
    loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    assert results["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert results["accuracy"] == pytest.approx(np.mean(np.argmax(logits, 1) == labels.numpy()))
    evaluation = EvaluationStep(model=model, objective=make_objective(), data=data)
    evaluation.run(data.source(0), 0, data.num_steps)
    assert evaluation.results()["loss"] == pytest.approx(float(loss), rel=1e-5)
    predicted = np.concatenate([outputs[0] for outputs in prediction(model, make_data(seed=None))()])
    np.testing.assert_allclose(predicted, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_parts", [2, 3, 8])
def test_accumulation_gives_the_update_of_the_whole_batch(num_parts: int) -> None:
    parts = weights_after(num_parts=num_parts)
    assert_close(parts, weights_after(), tolerance=1e-5)


def test_number_of_steps_a_call_changes_no_bit() -> None:
    def train(steps_a_call: int) -> list[np.ndarray]:
        model, data = make_model(), make_data(seed=3)
        step = make_step(model, data, optimizer=keras.optimizers.Adam(1e-2))
        for epoch in range(3):
            source = data.source(epoch)
            for first in range(0, data.num_steps, steps_a_call):
                step.run(source, first, min(steps_a_call, data.num_steps - first))
        return [variable.numpy() for variable in [*model.variables, *step.variables]]

    for one, other in zip(train(1), train(3), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["norm", "global_norm", "value"])
def test_clipping_bounds_the_update(kind: Any) -> None:
    start = [variable.numpy() for variable in make_model(dropout=0.0, batch_norm=False).trainable_variables]
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    step = make_step(model, data, clipping=Clipping(kind, 0.01))
    step.run(data.source(0), 0, 1)
    update = [(v.numpy() - s) / 0.1 for v, s in zip(model.trainable_variables, start, strict=True)]
    norms = [np.linalg.norm(u) for u in update]
    size = {"norm": max(norms), "global_norm": np.linalg.norm(norms), "value": max(np.abs(u).max() for u in update)}
    assert size[kind] == pytest.approx(0.01, rel=1e-3)
    assert step.results()["gradient_norm"] > 0.01  # reported before clipping


def test_class_weights_weigh_the_training_loss_and_not_the_metrics() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    weights = (0.0, 1.0, 3.0)
    step = make_step(
        model, data, objective=make_objective(class_weights=weights), rate=schedule.constant(learning_rate=0.0)
    )
    step.run(data.source(0), 0, data.num_steps)
    everything = data.assemble({"index": tf.range(data.num_samples, dtype=tf.int64)})
    labels = everything["y"]["class"].numpy()
    logits = model(everything["x"])
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True).numpy()
    assert step.results()["loss"] == pytest.approx((np.array(weights)[labels] * losses).mean(), rel=1e-5)
    assert step.results()["accuracy"] == pytest.approx(np.mean(np.argmax(logits, 1) == labels))


@pytest.mark.parametrize("batch_size", [1, 4])  # the last batch of 4 has 2
def test_class_weights_train_as_fit_does_with_keras_class_weight(batch_size: int) -> None:
    weights = (0.2, 1.0, 3.0)
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=None, batch_size=batch_size)
    step = make_step(model, data, objective=make_objective(class_weights=weights))
    step.run(data.source(0), 0, data.num_steps)
    other = make_model(dropout=0.0, batch_norm=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    other.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    everything = data.assemble({"index": tf.range(data.num_samples, dtype=tf.int64)})
    history = other.fit(
        *(everything["x"].numpy(), everything["y"]["class"].numpy()),
        batch_size=batch_size,
        shuffle=False,
        class_weight=dict(enumerate(weights)),
        verbose=0,
    )
    assert_close([v.numpy() for v in model.trainable_variables], [v.numpy() for v in other.trainable_variables], 1e-5)
    assert step.results()["loss"] == pytest.approx(history.history["loss"][0], rel=1e-4)


def test_class_weights_mean_the_same_however_a_batch_is_divided() -> None:
    goal = {"objective": make_objective(class_weights=(0.0, 1.0, 3.0))}
    whole = weights_after(**goal)
    assert_close(weights_after(**goal, num_parts=8), whole, tolerance=1e-5)
    assert not np.allclose(whole[0], weights_after()[0])


def test_regularization_counts_once_a_batch_however_it_is_divided() -> None:
    def train(num_parts: int) -> list[np.ndarray]:
        model, data = make_model(dropout=0.0, batch_norm=False, l2=0.5), make_data(seed=3)
        step = make_step(model, data, num_parts=num_parts)
        step.run(data.source(0), 0, data.num_steps)
        return [variable.numpy() for variable in model.trainable_variables]

    assert_close(train(1), train(4), tolerance=1e-5)
    assert not np.allclose(train(1)[0], weights_after(1)[0])


def test_a_step_that_is_not_finite_changes_nothing_and_ends_the_call() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    whole = make_objective()
    bad = int(data.order(0)[9])  # a sample of the second batch

    def loss(logits: Any, batch: Any) -> Any:
        return whole.loss(logits, batch) + tf.where(batch["index"] == bad, np.nan, 0.0)

    step = make_step(model, data, objective=Objective(loss=loss, metrics={}))
    assert not step.run(data.source(0), 0, data.num_steps)
    after_one = make_model(dropout=0.0, batch_norm=False)
    other = make_step(after_one, data)
    other.run(data.source(0), 0, 1)
    assert_close(*([v.numpy() for v in m.trainable_variables] for m in (model, after_one)), tolerance=0)


def test_an_overflow_is_repeated_at_half_the_scale() -> None:
    results = []
    for scale in (2.0**10, 2.0**126):  # with the second, any gradient overflows
        model, data = make_model(dropout=0.0, batch_norm=False, policy="mixed_float16"), make_data(seed=3)
        step = make_step(model, data, loss_scaling=True)
        step.variables[3].assign(scale)
        assert step.run(data.source(0), 0, 2)
        assert int(step.variables[0]) == 2
        results.append((step.results()["loss"], [variable.numpy() for variable in model.trainable_variables]))
    assert float(step.variables[3]) < 2.0**40
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-3)
    assert_close(results[0][1], results[1][1], tolerance=1e-3)


def test_a_loss_that_is_not_finite_at_any_scale_ends_training() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False, policy="mixed_float16"), make_data(seed=3)
    model.trainable_variables[0].assign(tf.fill(model.trainable_variables[0].shape, np.inf))
    step = make_step(model, data, loss_scaling=True)
    assert not step.run(data.source(0), 0, 2)
    assert float(step.variables[3]) == 1.0


def test_every_epoch_has_its_own_order_and_the_same_seed_the_same() -> None:
    data, again, other = make_data(seed=3), make_data(seed=3), make_data(seed=4)
    orders = [data.order(epoch).tolist() for epoch in range(3)]
    assert orders == [again.order(epoch).tolist() for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != other.order(0).tolist()
    assert all(sorted(order) == list(range(data.num_samples)) for order in orders)


@pytest.mark.parametrize(
    "optimizer", [lambda: keras.optimizers.SGD(0.1, momentum=0.9), lambda: keras.optimizers.Adam(0.1)]
)
def test_a_rate_factor_is_the_same_as_another_rate(optimizer: Any) -> None:
    half = weights_after(optimizer=optimizer(), rate_factor=lambda variable: 0.5)
    expected = weights_after(optimizer=optimizer(), rate=schedule.constant(learning_rate=0.05))
    assert_close(half, expected, tolerance=1e-5)
    mixed = weights_after(1, optimizer=optimizer(), rate_factor=lambda variable: float("conv" not in variable.path))
    start = [variable.numpy() for variable in make_model(dropout=0.0, batch_norm=False).trainable_variables]
    same = [np.array_equal(one, other) for one, other in zip(mixed, start, strict=True)]
    assert same == [True, True, False, False]  # kernel and bias of the convolution, of the logits


def test_a_front_is_computed_in_inference_mode_and_stays() -> None:
    model, data = make_model(dropout=0.9), make_data(seed=3)
    cut = model.get_layer("norm").output
    front = keras.Model(model.inputs[0], keras.layers.Dropout(0.9, name="off")(cut))
    before = [variable.numpy() for variable in front.weights]
    flat = keras.layers.Flatten()(keras.Input(front.output_shape[1:]))
    rest = keras.Model(flat._keras_history.operation.input, keras.layers.Dense(3, name="logits")(flat))
    step = make_step(rest, data, front=front, rate=schedule.constant(learning_rate=0.0))
    assert step.run(data.source(0), 0, data.num_steps)
    everything = data.assemble({"index": tf.range(data.num_samples, dtype=tf.int64)})
    loss = keras.losses.sparse_categorical_crossentropy(
        everything["y"]["class"], rest(front(everything["x"], training=False)), from_logits=True
    )
    assert step.results()["loss"] == pytest.approx(float(tf.reduce_mean(loss)), rel=1e-5)
    for old, variable in zip(before, front.weights, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def darker(x: Any, label: Any, start: Any) -> Any:
    return x - 50.0


@pytest.mark.parametrize("num_parts", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ratio", [0.5, pytest.param(1.0, marks=pytest.mark.slow)])
def test_an_adversary_changes_the_first_samples_of_a_batch_however_it_is_divided(ratio: float, num_parts: int) -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=3)
    step = make_step(
        model,
        data,
        rate=schedule.constant(learning_rate=0.0),
        adversary=Adversary(darker, ratio, seed=0),
        num_parts=num_parts,
    )
    assert step.run(data.source(0), 0, data.num_steps)
    order, total = data.order(0), 0.0
    for first in range(0, len(order), 8):
        batch = data.assemble({"index": tf.constant(order[first : first + 8])})
        number = int(np.ceil(ratio * len(batch["index"])))
        x = np.concatenate([batch["x"][:number] - 50.0, batch["x"][number:]])
        logits = model(x, training=True)
        loss = keras.losses.sparse_categorical_crossentropy(batch["y"]["class"], logits, from_logits=True)
        total += float(tf.reduce_sum(loss))
    assert step.results()["loss"] == pytest.approx(total / len(order), rel=1e-5)


def test_an_adversarys_starts_differ_from_step_to_step_and_repeat() -> None:
    adversary = Adversary(darker, 1.0, seed=4)
    whole = divide(3, num_parts=1, num_replicas=1, replica=0)

    def start(step: int, salt: int) -> Any:
        return adversary.start(tf.zeros((3, 2, 2, 1)), whole, tf.constant(step, tf.int64), salt)

    one = start(1, 0)
    np.testing.assert_array_equal(one, start(1, 0))
    for step, salt in ((2, 0), (1, 1)):
        assert not np.array_equal(one, start(step, salt))
    assert float(tf.reduce_max(tf.abs(one))) <= 1
    of_second = divide(3, num_parts=2, num_replicas=2, replica=1)
    drawn = adversary.start(tf.zeros((2, 2, 2, 1)), of_second, tf.constant(1, tf.int64), salt=0)
    np.testing.assert_array_equal(one[1:], drawn)


def test_robust_accuracy_is_measured_under_the_attack() -> None:
    model, data = make_model(dropout=0.0, batch_norm=False), make_data(seed=None)
    evaluation = EvaluationStep(
        model=model, objective=make_objective(), data=data, adversary=Adversary(darker, 0.5, seed=0)
    )
    evaluation.run(data.source(0), 0, data.num_steps)
    everything = data.assemble({"index": tf.range(data.num_samples, dtype=tf.int64)})
    predicted = np.argmax(model(everything["x"] - 50.0), axis=1)
    assert evaluation.results()["robust_accuracy"] == pytest.approx(
        np.mean(predicted == everything["y"]["class"].numpy())
    )


def test_model_takes_what_the_objective_names_of_the_batch() -> None:
    def noise(draws: Any) -> Any:
        return tf.map_fn(
            lambda seed: tf.random.stateless_normal([3], seed),
            draws,
            fn_output_signature=tf.TensorSpec([3], tf.float32),
        )

    def trained(num_parts: int) -> tuple[keras.Model, TrainStep]:
        inner, more = make_model(dropout=0.0, batch_norm=False), keras.Input((3,), name="more")
        model = keras.Model([inner.inputs[0], more], keras.layers.Add()([inner.outputs[0], more]))
        objective = dataclasses.replace(make_objective(), further_inputs=lambda batch: [noise(batch["draws"])])
        data = make_data(seed=3)
        step = make_step(model, data, objective=objective, num_parts=num_parts)
        assert step.run(data.source(1), 0, data.num_steps)
        evaluation = EvaluationStep(model=model, objective=objective, data=data)
        evaluation.run(data.source(0), 0, data.num_steps)
        everything = [data.assemble(data.element(data.source(0), tf.constant(i, tf.int64))) for i in range(3)]
        losses = [
            keras.losses.sparse_categorical_crossentropy(
                batch["y"]["class"], inner(batch["x"]) + noise(batch["draws"]), from_logits=True
            )
            for batch in everything
        ]
        assert evaluation.results()["loss"] == pytest.approx(float(tf.reduce_mean(tf.concat(losses, 0))), rel=1e-5)
        return model, step

    (whole, _), (in_parts, _) = trained(1), trained(3)
    assert_close(*([v.numpy() for v in model.trainable_variables] for model in (whole, in_parts)), tolerance=1e-5)  # type: ignore[misc]
    assert not np.allclose(whole.trainable_variables[0], weights_after(1)[0], atol=1e-5)


class Follower(keras.layers.Layer):  # type: ignore[misc]
    """Multiplies its inputs by the progress of training, as drop path multiplies its rate."""

    class Progress:
        def __init__(self) -> None:
            self.variable = tf.Variable(0.0, trainable=False)

    def __init__(self) -> None:
        super().__init__()
        self.progress = self.Progress()

    def call(self, x: Any, training: bool | None = None) -> Any:
        return x * self.progress.variable if training else x


@pytest.mark.parametrize(("num_steps", "expected"), [(8, [0.0, 3 / 8]), (None, [0.0, 0.0]), (2, [0.0, 1.0])])
def test_layers_follow_the_progress_of_a_stage(num_steps: int | None, expected: list[float]) -> None:
    inputs = keras.Input((6, 6, 1))
    layer = Follower()
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(layer(inputs))))
    data = make_data(seed=3)
    step = make_step(model, data, num_steps=num_steps)
    seen = []
    for first, count in ((0, 1), (1, 3)):
        assert step.run(data.source(0), first, count)
        seen.append(float(layer.progress.variable))
    assert seen == expected
