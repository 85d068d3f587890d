"""The losses of boxes: closed forms, Keras's own functions, what holds for any boxes, and the means of the steps."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_problem import NUM_CLASSES, NUM_SAMPLES  # type: ignore[import-not-found]

from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches
from dlcli.training import schedule
from dlcli.training.objectives import classification as classification_objectives
from dlcli.training.objectives import localization as localization_objectives
from dlcli.training.objectives.localization import box_losses, intersection_over_union
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import EvaluationStep, TrainStep

KINDS: tuple[localization_objectives.BoxLoss, ...] = ("smooth_l1", "l2", "giou", "ciou")
DEGENERATE = (
    (0.5, 0.5, 0.5, 0.5),
    (0.2, 0.3, 0.2, 0.7),
    (0.2, 0.3, 0.8, 0.3),
    (0.0, 0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0, 1.0),
)
Box = tuple[float, float, float, float]


def iou(a: Any, b: Any) -> float:
    return float(intersection_over_union(tf.constant([a], tf.float32), tf.constant([b], tf.float32))[0])


def losses_and_gradients(kind: localization_objectives.BoxLoss, predicted: Any, true: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        losses = box_losses(kind, predicted, true)
    return losses, tape.gradient(losses, predicted)


BOXES_SPEC = tf.TensorSpec((None, 4), tf.float32)
COMPILED = {
    kind: tf.function(functools.partial(losses_and_gradients, kind), [BOXES_SPEC, BOXES_SPEC], autograph=False)
    for kind in KINDS
}


def loss_of(kind: localization_objectives.BoxLoss, predicted: Any, true: Any) -> float:
    return float(COMPILED[kind](tf.constant([predicted], tf.float32), tf.constant([true], tf.float32))[0][0])


def gradient_of(kind: localization_objectives.BoxLoss, predicted: Any, true: Any) -> np.ndarray:
    return np.asarray(COMPILED[kind](tf.constant([predicted], tf.float32), tf.constant([true], tf.float32))[1])[0]


def random_boxes(num: int, seed: int, side: float = 1.0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, side, (num, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


# Closed forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0.0, 0.0, 0.4, 0.4), (0.2, 0.2, 0.6, 0.6), 1 / 7),  # 4 of 16 + 16 - 4
        ((0.0, 0.0, 0.4, 0.4), (0.1, 0.1, 0.3, 0.2), 2 / 16),  # one inside the other
        ((0.0, 0.0, 0.4, 0.4), (0.4, 0.0, 0.8, 0.4), 0.0),  # an edge is no area
        ((0.0, 0.0, 0.4, 0.4), (0.6, 0.6, 0.8, 0.8), 0.0),
        ((0.0, 0.0, 0.4, 0.4), (0.2, 0.6, 0.4, 0.8), 0.0),  # beside each other in one axis alone
        ((0.1, 0.2, 0.7, 0.9), (0.1, 0.2, 0.7, 0.9), 1.0),
        ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), 0.0),
        ((-0.2, 0.0, 0.2, 0.4), (0.0, 0.0, 0.4, 0.4), 1 / 3),  # out of the image
    ],
)
def test_intersection_over_union_by_hand(a: Box, b: Box, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0.0, 0.0, 0.4, 0.4), (0.2, 0.2, 0.6, 0.6), 1 / 7 - (36 - 28) / 36),
        ((0.0, 0.0, 0.1, 0.1), (0.9, 0.9, 1.0, 1.0), 0 - (100 - 2) / 100),
        ((0.0, 0.0, 0.4, 0.4), (0.1, 0.1, 0.3, 0.2), 2 / 16),  # the hull is the union
        ((0.1, 0.2, 0.7, 0.9), (0.1, 0.2, 0.7, 0.9), 1.0),
    ],
)
def test_giou_by_hand(a: Box, b: Box, expected: float) -> None:
    assert 1 - loss_of("giou", a, b) == pytest.approx(expected, abs=1e-6)


def test_ciou_by_hand() -> None:
    # squares: no term of shape; hull of 0.6, centers 0.2 apart in each axis
    assert 1 - loss_of("ciou", (0.0, 0.0, 0.4, 0.4), (0.2, 0.2, 0.6, 0.6)) == pytest.approx(
        1 / 7 - 0.08 / 0.72, abs=1e-6
    )
    # one center: no term of distance; twice as wide as high beside the square of the same area around it
    shape = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    overlap = 0.4 * 0.4 / (0.8 * 0.4)
    expected = overlap - shape**2 / (1 - overlap + shape)
    assert 1 - loss_of("ciou", (0.1, 0.3, 0.9, 0.7), (0.3, 0.3, 0.7, 0.7)) == pytest.approx(expected, abs=1e-6)


def test_the_share_of_the_shape_in_ciou_has_no_gradient() -> None:
    """Zheng et al. 2020 hold the trade-off fixed, and take the angle's gradient times the squared diagonal."""
    predicted, true = np.array([0.1, 0.3, 0.9, 0.7]), np.array([0.3, 0.2, 0.7, 0.9])

    def slant(box: np.ndarray) -> float:
        return math.atan((box[2] - box[0]) / (box[3] - box[1]))

    def shape(box: np.ndarray) -> float:
        return 4 / math.pi**2 * (slant(true) - slant(box)) ** 2

    def overlap(box: np.ndarray) -> float:
        sides = np.minimum(box[2:], true[2:]) - np.maximum(box[:2], true[:2])
        return float(sides.prod() / ((box[2:] - box[:2]).prod() + (true[2:] - true[:2]).prod() - sides.prod()))

    share = shape(predicted) / (1 - overlap(predicted) + shape(predicted))

    def loss(box: np.ndarray) -> float:
        hull = np.maximum(box[2:], true[2:]) - np.minimum(box[:2], true[:2])
        centers = (box[:2] + box[2:] - true[:2] - true[2:]) / 2
        return 1 - overlap(box) + float((centers**2).sum() / (hull**2).sum())

    def slope(function: Callable[[np.ndarray], float]) -> np.ndarray:
        steps = 1e-6 * np.eye(4)
        return np.array([(function(predicted + step) - function(predicted - step)) / 2e-6 for step in steps])

    squared_diagonal = 0.8**2 + 0.4**2
    numerical = slope(loss) + share * squared_diagonal * slope(shape)
    np.testing.assert_allclose(gradient_of("ciou", predicted, true), numerical, rtol=1e-4, atol=1e-5)


def test_smooth_l1_is_a_parabola_near_and_a_line_far() -> None:
    true = (0.2, 0.2, 0.8, 0.8)
    assert loss_of("smooth_l1", (0.25, 0.2, 0.8, 0.8), true) == pytest.approx(0.5 * 0.05**2 / 0.1, rel=1e-5)
    assert loss_of("smooth_l1", (0.2, 0.2, 0.8, 0.5), true) == pytest.approx(0.3 - 0.05, rel=1e-5)
    apart = (0.25, 0.1, 0.8, 0.5)  # the sum over all four: 0.0125 + 0.05 + 0 + 0.25
    assert loss_of("smooth_l1", apart, true) == pytest.approx(0.3125, rel=1e-5)
    np.testing.assert_allclose(gradient_of("smooth_l1", apart, true), [0.5, -1.0, 0.0, -1.0], atol=1e-5)
    for near in (0.0999, 0.1001):  # continuous at the bend
        assert loss_of("smooth_l1", (0.2 + near, 0.2, 0.8, 0.8), true) == pytest.approx(0.05, abs=2e-4)


def test_smooth_l1_and_l2_equal_kerass() -> None:
    predicted, true = random_boxes(50, 0), random_boxes(50, 1)
    huber = keras.losses.Huber(delta=localization_objectives.SMOOTH_BELOW, reduction="none")(true, predicted)
    np.testing.assert_allclose(
        box_losses("smooth_l1", predicted, true), 4 * huber / localization_objectives.SMOOTH_BELOW, rtol=1e-4, atol=1e-6
    )
    squares = keras.losses.MeanSquaredError(reduction="none")(true, predicted)
    np.testing.assert_allclose(box_losses("l2", predicted, true), 2 * squares, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient_of("l2", predicted[0], true[0]), predicted[0] - true[0], atol=1e-6)


def test_overlaps_equal_kerass() -> None:
    """In pixels of a large image, where the epsilons of Keras's functions do not count."""
    a, b = random_boxes(200, 2, 1000.0), random_boxes(200, 3, 1000.0)
    theirs = np.diag(np.asarray(keras.utils.bounding_boxes.compute_iou(a, b, "xyxy")))
    assert (theirs > 0).mean() > 0.3
    assert (theirs == 0).any()
    np.testing.assert_allclose(intersection_over_union(a, b), theirs, atol=1e-5)
    complete = keras.utils.bounding_boxes.compute_ciou(a, b, "xyxy")
    np.testing.assert_allclose(1 - box_losses("ciou", a, b), complete, atol=1e-4)


def test_boxes_of_a_batch_are_measured_pair_by_pair() -> None:
    a, b = random_boxes(6, 4), random_boxes(6, 5)
    for kind in KINDS:
        together = box_losses(kind, tf.constant(a), tf.constant(b))
        assert together.shape == (6,)
        np.testing.assert_allclose(together, [loss_of(kind, *pair) for pair in zip(a, b, strict=True)], rtol=1e-5)


# Any boxes ------------------------------------------------------------------------------------------------------------


@st.composite
def some_boxes(draw: st.DrawFn) -> Box:
    """Of at least a hundredth of a side."""
    left, top = draw(st.integers(0, 990)), draw(st.integers(0, 990))
    right, bottom = draw(st.integers(left + 10, 1000)), draw(st.integers(top + 10, 1000))
    return left / 1000, top / 1000, right / 1000, bottom / 1000


any_pair = given(a=some_boxes(), b=some_boxes())
quick = settings(max_examples=settings().max_examples * 30 // 100, deadline=None)


@quick
@any_pair
def test_overlaps_are_bounded_and_the_same_both_ways(a: Box, b: Box) -> None:
    overlap, generalized, complete = iou(a, b), 1 - loss_of("giou", a, b), 1 - loss_of("ciou", a, b)
    assert 0 <= overlap <= 1 + 1e-5
    assert -1 <= generalized <= overlap + 1e-5
    assert -2 <= complete <= overlap + 1e-5
    assert overlap == pytest.approx(iou(b, a), abs=1e-5)
    assert generalized == pytest.approx(1 - loss_of("giou", b, a), abs=1e-5)
    assert complete == pytest.approx(1 - loss_of("ciou", b, a), abs=1e-4)


@quick
@any_pair
def test_no_box_is_nearer_than_the_same_one(a: Box, b: Box) -> None:
    assert iou(a, a) == pytest.approx(1, abs=1e-5)
    for kind in KINDS:
        same = loss_of(kind, a, a)
        assert same == pytest.approx(0, abs=1e-5)
        assert loss_of(kind, a, b) >= same - 1e-5
        if a != b:
            assert loss_of(kind, a, b) > 0


@quick
@given(a=some_boxes(), b=some_boxes(), x=st.floats(0.1, 10), y=st.floats(0.1, 10), shift=st.floats(-1, 1))
def test_iou_and_giou_do_not_depend_on_the_scale_of_an_axis(a: Box, b: Box, x: float, y: float, shift: float) -> None:
    scale = np.array([x, y, x, y])
    one, other = scale * a + shift, scale * b + shift
    assert iou(one, other) == pytest.approx(iou(a, b), abs=2e-3)  # of float32 boxes far from 0
    assert loss_of("giou", one, other) == pytest.approx(loss_of("giou", a, b), abs=2e-3)


@quick
@given(right=some_boxes(), gap=st.floats(0.01, 2))
def test_giou_and_ciou_draw_boxes_apart_together(right: Box, gap: float) -> None:
    """IoU alone has no slope there."""
    width = right[2] - right[0]
    left = (right[0] - gap - width, right[1], right[0] - gap, right[3])
    assert iou(left, right) == 0
    for kind in ("giou", "ciou"):
        gradient = gradient_of(kind, left, right)
        assert np.isfinite(gradient).all()
        assert gradient[0] + gradient[2] < -1e-4  # to go right lowers it
        nearer = (left[0] + gap / 2, left[1], left[2] + gap / 2, left[3])
        assert loss_of(kind, nearer, right) < loss_of(kind, left, right)


@quick
@any_pair
@example(a=DEGENERATE[0], b=DEGENERATE[3])
def test_all_is_finite_for_boxes_without_an_area(a: Box, b: Box) -> None:
    boxes = [a, b, *DEGENERATE]
    for kind in KINDS:
        predicted = tf.constant([p for p in boxes for _ in boxes], tf.float32)
        true = tf.constant(boxes * len(boxes), tf.float32)
        losses, gradients = COMPILED[kind](predicted, true)
        assert np.isfinite(losses).all(), kind
        assert np.isfinite(gradients).all(), kind
    overlap = intersection_over_union(predicted, true).numpy()
    assert np.isfinite(overlap).all()
    assert overlap.min() >= 0
    assert overlap.max() <= 1 + 1e-5


# The objective --------------------------------------------------------------------------------------------------------

BOXES = random_boxes(NUM_SAMPLES, 6)
HAS_BOX = np.arange(NUM_SAMPLES) % 4 != 1
LABELS = (np.arange(NUM_SAMPLES) % NUM_CLASSES).astype(np.int32)


def make_objective(**keys: Any) -> Objective:
    classes = classification_objectives.classification(num_classes=NUM_CLASSES, label_smoothing=0.0, class_weights=None)
    return localization_objectives.localization(
        classes=classes, **{"box_loss": "giou", "class_weight": 1.0, "box_weight": 1.0, **keys}
    )


def make_batch(*, box: np.ndarray = BOXES) -> dict[str, Any]:
    y = {"class": tf.constant(LABELS), "box": tf.constant(box), "box_weight": tf.constant(HAS_BOX, tf.float32)}
    return {"y": y, "weight": tf.ones(NUM_SAMPLES)}


def make_outputs(*, per_class: bool = False) -> list[tf.Tensor]:
    """Logits of which about half are right, and boxes."""
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(NUM_SAMPLES, NUM_CLASSES)) + 1.0 * np.eye(NUM_CLASSES)[LABELS]
    boxes = random_boxes(NUM_SAMPLES * NUM_CLASSES, 9).reshape(NUM_SAMPLES, NUM_CLASSES, 4)
    return [tf.constant(logits, tf.float32), tf.constant(boxes if per_class else boxes[:, 0])]


def test_the_losses_are_added_up_with_their_weights() -> None:
    outputs, batch = make_outputs(), make_batch()
    cross_entropy = keras.losses.sparse_categorical_crossentropy(LABELS, outputs[0], from_logits=True)
    for kind in KINDS:
        found = HAS_BOX * box_losses(kind, outputs[1], BOXES)
        goal = make_objective(box_loss=kind, class_weight=0.5, box_weight=3.0)
        np.testing.assert_allclose(goal.loss(outputs, batch), 0.5 * cross_entropy + 3.0 * found, rtol=1e-5)
        box_alone = make_objective(box_loss=kind, class_weight=0.0, box_weight=2.0)
        np.testing.assert_allclose(box_alone.loss(outputs, batch), 2.0 * found, rtol=1e-5)
        class_alone = make_objective(box_loss=kind, box_weight=0.0)
        np.testing.assert_allclose(class_alone.loss(outputs, batch), cross_entropy, rtol=1e-5)


@pytest.mark.parametrize(("keys", "changes"), [({"box_weight": 0.0}, (1, 0)), ({"class_weight": 0.0}, (0, 1))])
@pytest.mark.parametrize("per_class", [False, True])
def test_a_loss_of_no_weight_gives_its_head_no_gradient(
    keys: dict[str, float], changes: tuple[int, int], per_class: bool
) -> None:
    outputs, batch = make_outputs(per_class=per_class), make_batch()
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = make_objective(**keys).loss(outputs, batch)
    gradients = tape.gradient(loss, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert tuple(int(np.abs(gradient).max() > 0) for gradient in gradients) == changes


def test_the_accuracies_are_measured_whatever_is_learned() -> None:
    outputs, batch = make_outputs(), make_batch()
    expected = [float(value) for value in make_objective().metric_sums(outputs, batch)]
    for keys in ({"box_weight": 0.0}, {"class_weight": 0.0}):
        assert [float(value) for value in make_objective(**keys).metric_sums(outputs, batch)] == expected


def test_the_class_weights_weigh_both_losses_and_no_metric() -> None:
    outputs, batch = make_outputs(), make_batch()
    weights = (0.5, 1.0, 4.0)
    plain, weighted = make_objective(), make_objective(class_weights=weights)
    expected = np.array(weights, np.float32)[LABELS] * plain.loss(outputs, batch)
    np.testing.assert_allclose(weighted.minimized(outputs, batch), expected, rtol=1e-6)
    np.testing.assert_array_equal(weighted.loss(outputs, batch), plain.loss(outputs, batch))
    np.testing.assert_array_equal(weighted.metric_sums(outputs, batch), plain.metric_sums(outputs, batch))


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_the_place_of_no_box_changes_nothing(kind: localization_objectives.BoxLoss) -> None:
    outputs = make_outputs()
    other = np.where(HAS_BOX[:, None], BOXES, random_boxes(NUM_SAMPLES, 10))
    assert (other != BOXES).any()
    goal = make_objective(box_loss=kind)
    one, two = make_batch(), make_batch(box=other)
    np.testing.assert_array_equal(goal.loss(outputs, one), goal.loss(outputs, two))
    np.testing.assert_array_equal(goal.metric_sums(outputs, one), goal.metric_sums(outputs, two))
    elsewhere = np.where(HAS_BOX[:, None], random_boxes(NUM_SAMPLES, 10), BOXES)  # and what is a box does
    assert not np.array_equal(goal.loss(outputs, one), goal.loss(outputs, make_batch(box=elsewhere)))


def test_metric_sums_by_hand() -> None:
    logits = tf.constant([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    half = (0.0, 0.0, 0.5, 1.0)
    boxes = tf.constant([half, half, half, half])
    batch = {
        "y": {
            "class": tf.constant([0, 0, 1, 0]),
            # IoU of 1, 0.4, 1, and none that counts
            "box": tf.constant([half, (0.0, 0.0, 0.5, 0.4), half, half]),
            "box_weight": tf.constant([1.0, 1.0, 1.0, 0.0]),
        },
        "weight": tf.constant([1.0, 2.0, 4.0, 8.0]),
    }
    goal = make_objective()
    assert goal.names == ("loss", "accuracy", "iou", "localization_accuracy")
    sums = [float(value) for value in goal.metric_sums([logits, boxes], batch)]
    assert sums == pytest.approx([1 + 2 + 8, 15, 1 + 0.8 + 4, 7, 1, 7])


def test_a_box_is_right_from_half_on() -> None:
    logits, true = tf.constant([[1.0, 0.0, 0.0]] * 2), (0.0, 0.0, 1.0, 1.0)
    boxes = tf.constant([(0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 1.0, 0.49)])
    batch = {
        "y": {"class": tf.constant([0, 0]), "box": tf.constant([true] * 2), "box_weight": tf.ones(2)},
        "weight": tf.ones(2),
    }
    found = make_objective().metrics["localization_accuracy"]([logits, boxes], batch)
    assert found.numpy().tolist() == [1.0, 0.0]


def test_the_labels_box_is_learned_and_the_predicted_classs_is_measured() -> None:
    outputs, batch = make_outputs(per_class=True), make_batch()
    logits, boxes = (output.numpy() for output in outputs)
    predicted = logits.argmax(axis=1)
    assert 0.2 < (predicted == LABELS).mean() < 0.9
    rows = np.arange(NUM_SAMPLES)
    goal = make_objective(class_weight=0.0)
    expected = HAS_BOX * box_losses("giou", boxes[rows, LABELS], BOXES)
    np.testing.assert_allclose(goal.loss(outputs, batch), expected, rtol=1e-5, atol=1e-6)
    overlap = intersection_over_union(boxes[rows, predicted], BOXES)
    np.testing.assert_allclose(goal.metrics["iou"](outputs, batch), overlap, rtol=1e-5, atol=1e-6)
    is_right = (predicted == LABELS) & (overlap.numpy() >= 0.5)
    np.testing.assert_array_equal(goal.metrics["localization_accuracy"](outputs, batch), is_right)


# The steps ------------------------------------------------------------------------------------------------------------


def make_data(*, seed: int | None, boxes: np.ndarray | None = None) -> Batches:
    pixels = np.random.default_rng(7).integers(0, 256, (NUM_SAMPLES, 6, 6, 1)).astype(np.uint8)
    if boxes is None:
        boxes = np.where(HAS_BOX[:, None], BOXES, np.float32(np.nan))
    return Batches(
        labels=LABELS,
        pixels=pixels,
        load=lambda i: pixels[i],
        shape=(6, 6, 1),
        batch_size=8,
        seed=seed,
        targets=(BoxTarget(boxes),),
    )


def make_model(*, per_class: bool) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    logits = keras.layers.Dense(NUM_CLASSES, name="logits")(x)
    num_boxes = NUM_CLASSES if per_class else 1
    pairs = keras.layers.Dense(4 * num_boxes, activation="sigmoid", name="pairs")(x)
    if per_class:
        pairs = keras.layers.Reshape((num_boxes, 4))(pairs)
    one, other = pairs[..., :2], pairs[..., 2:]
    ordered = [keras.ops.minimum(one, other), keras.ops.maximum(one, other)]
    return keras.Model(inputs, [logits, keras.ops.concatenate(ordered, axis=-1)])


def make_step(model: keras.Model, data: Batches, goal: Objective, *, num_parts: int, rate: float) -> TrainStep:
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(model.trainable_variables)
    return TrainStep(
        model=model,
        optimizer=optimizer,
        objective=goal,
        data=data,
        rate=schedule.constant(learning_rate=rate),
        clipping=None,
        num_parts=num_parts,
        loss_scaling=False,
    )


def expected_means(model: keras.Model, goal: Objective) -> dict[str, float]:
    """Over all samples at once: the boxes' metrics over those that have one."""
    data = make_data(seed=None)
    x = data.assemble({"index": tf.range(NUM_SAMPLES, dtype=tf.int64)})["x"]
    outputs, batch = model(x), make_batch()
    means = {"loss": float(goal.minimized(outputs, batch).numpy().mean())}
    values = {name: metric(outputs, batch).numpy() for name, metric in goal.metrics.items()}
    means["accuracy"] = float(values["accuracy"].mean())
    return means | {name: float(values[name][HAS_BOX].mean()) for name in ("iou", "localization_accuracy")}


@pytest.mark.parametrize(("num_parts", "per_class"), [(1, True), (3, False), (8, True)])
def test_means_of_training_do_not_depend_on_how_batches_fall(num_parts: int, per_class: bool) -> None:
    assert NUM_SAMPLES % 8  # the last batch is smaller, and boxes are missing in some batches more than in others
    model, data = make_model(per_class=per_class), make_data(seed=3)
    goal = make_objective(class_weights=(1.0, 2.0, 0.5))
    step = make_step(model, data, goal, num_parts=num_parts, rate=0.0)
    assert step.run(data.source(0), 0, data.num_steps)
    results = step.results()
    assert {name: results[name] for name in goal.names} == pytest.approx(expected_means(model, goal), rel=1e-5)


def test_means_of_evaluation_do_not_depend_on_how_batches_fall() -> None:
    model, data, goal = make_model(per_class=True), make_data(seed=None), make_objective()
    evaluation = EvaluationStep(model=model, objective=goal, data=data)
    evaluation.run(data.source(0), 0, data.num_steps)
    assert evaluation.results() == pytest.approx(expected_means(model, goal), rel=1e-5)


def test_without_any_box_the_boxes_means_are_0_and_the_classes_are_as_ever() -> None:
    model, goal = make_model(per_class=False), make_objective()
    data = make_data(seed=None, boxes=np.full((NUM_SAMPLES, 4), np.nan, np.float32))
    evaluation = EvaluationStep(model=model, objective=goal, data=data)
    evaluation.run(data.source(0), 0, data.num_steps)
    results = evaluation.results()
    assert (results["iou"], results["localization_accuracy"]) == (0.0, 0.0)
    assert results["accuracy"] == pytest.approx(expected_means(model, goal)["accuracy"])
    class_alone = make_objective(box_weight=0.0)
    assert results["loss"] == pytest.approx(expected_means(model, class_alone)["loss"], rel=1e-5)


def test_accumulation_gives_the_update_of_the_whole_batch() -> None:
    def weights_after(num_parts: int) -> list[np.ndarray]:
        model, data = make_model(per_class=False), make_data(seed=3)
        step = make_step(model, data, make_objective(), num_parts=num_parts, rate=0.1)
        assert step.run(data.source(0), 0, data.num_steps)
        return [variable.numpy() for variable in model.trainable_variables]

    start = [variable.numpy() for variable in make_model(per_class=False).trainable_variables]
    for one, other, before in zip(weights_after(1), weights_after(3), start, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
        assert np.abs(one - before).max() > 1e-4
