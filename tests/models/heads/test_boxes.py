"""The box head on every family: layers, shapes, forms, gradients of both losses, freezing, cutting, saved models."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.heads import boxes as box_heads
from dlcli.recipe.sections.image_model import Application, ConvBlock, Convnet, ImageClassifier, Lenet5, Mlp, Resnet, Vgg
from dlcli.recipe.tasks.localization import BoxHead
from dlcli.tasks.images.freezing import set_trainable, split_front
from dlcli.tasks.images.localization import box_outputs
from dlcli.tasks.images.network import ImageNetwork, build_classifier, features, with_head
from dlcli.training.objectives import classification as classification_objectives
from dlcli.training.objectives import localization as localization_objectives

BLOCKS = (ConvBlock(filters=4, batch_norm=True), ConvBlock(filters=6, dropout=0.2))
HEAD = BoxHead(channels=5, dense=(7,))
OF_CLASSES = BoxHead(channels=None, dense=(5,), form="center_size", per_class=True)

# Section, shape of an image, and of the maps that the box head takes; None where it takes the vector.
NETWORKS: dict[str, tuple[ImageClassifier, tuple[int, int, int], tuple[int, int, int] | None]] = {
    "lenet5": (Lenet5(kind="lenet5"), (28, 28, 1), (5, 5, 16)),
    "flatten": (Convnet(kind="convnet", blocks=BLOCKS, pooling="flatten", dense=(8,)), (16, 24, 3), (4, 6, 6)),
    "average": (Convnet(kind="convnet", blocks=BLOCKS, pooling="average"), (16, 24, 3), (4, 6, 6)),
    "dense": (Convnet(kind="convnet", blocks=BLOCKS, pooling="max", dense=(8, 5), dropout=0.3), (16, 24, 3), (4, 6, 6)),
    "vgg": (Vgg(kind="vgg", depth=11, width=0.1, dense=(8,)), (32, 64, 3), (1, 2, 51)),
    "resnet20": (Resnet(kind="resnet", depth=20, width=0.25), (32, 24, 3), (8, 6, 16)),
    "mobilenetv2": (
        Application(kind="application", network="mobilenetv2", head="average", alpha=0.35, weights="none"),  # type: ignore[call-arg]
        (32, 64, 3),
        (1, 2, 1280),
    ),
    "mlp": (Mlp(kind="mlp", units=(9, 8)), (6, 6, 1), None),
}
QUICK = ("lenet5", "dense", "mlp")
DEEP = ("mobilenetv2", "resnet20")  # with the slow tests
every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DEEP)) for name in sorted(NETWORKS)]
)
every_head = pytest.mark.parametrize(
    ("name", "box_head"),
    [
        *(
            pytest.param(name, HEAD, marks=[pytest.mark.slow] * (name in DEEP), id=f"{name}-all classes")
            for name in sorted(NETWORKS)
        ),
        *(pytest.param(name, OF_CLASSES, id=f"{name}-each class") for name in QUICK),
    ],
)


def built(name: str, box_head: BoxHead = HEAD, num_classes: int = 3) -> ImageNetwork:
    keras.utils.set_random_seed(0)
    section, shape, _ = NETWORKS[name]
    base = features(section, shape=shape)
    return with_head(base, box_outputs(base, box_head, num_classes=num_classes))


@functools.cache
def shared(name: str, box_head: BoxHead = HEAD) -> ImageNetwork:
    """One that no test may change but for its moving statistics."""
    return built(name, box_head)


def images(name: str, num: int = 6) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (num, *NETWORKS[name][1])).astype(np.float32)


def on_vector(x: np.ndarray, **keys: Any) -> tuple[keras.Model, np.ndarray]:
    """A box head on vectors, with larger weights than at first, so that boxes differ; and its boxes."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(x.shape[1:])
    known = {"channels": None, "dense": (), "dropout": 0.0, "form": "corners", "num_boxes": 1}
    model = keras.Model(inputs, box_heads.boxes(inputs, **{**known, **keys}))
    layer = model.get_layer("box_outputs")
    layer.set_weights([np.random.default_rng(2).normal(size=layer.kernel.shape), layer.bias.numpy()])
    return model, model(x).numpy()


VECTORS = np.random.default_rng(3).normal(size=(50, 8)).astype(np.float32)


# Layers and shapes ----------------------------------------------------------------------------------------------------


@every_head
def test_shapes_of_the_outputs(name: str, box_head: BoxHead) -> None:
    classifier = shared(name, box_head)
    assert {key: tuple(output.shape) for key, output in classifier.model.output.items()} == {
        "probabilities": (None, 3),
        "box": (None, 4),
    }
    boxes = (None, 3, 4) if box_head.per_class else (None, 4)
    assert [tuple(output.shape) for output in classifier.trained.outputs] == [(None, 3), boxes]
    assert all(output.dtype == "float32" for output in classifier.trained.outputs)
    x = images(name, 2)
    found, (logits, raw) = classifier.model(x), classifier.trained(x)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), rtol=1e-5)
    assert raw.shape == (2, *boxes[1:])
    for layer in ("logits", "boxes", "probabilities", "box"):  # by which evaluation finds them
        assert classifier.model.get_layer(layer).output.dtype == "float32"


def test_one_class_is_enough_beside_a_box() -> None:
    classifier = built("dense", num_classes=1)
    assert classifier.model.output["probabilities"].shape == (None, 1)
    section, shape, _ = NETWORKS["dense"]
    with pytest.raises(ValueError, match="at least 2 classes"):
        build_classifier(section, shape=shape, num_classes=1)


@every_network
def test_the_head_takes_the_last_maps_of_every_family(name: str) -> None:
    classifier = shared(name)
    names = [layer.name for layer in classifier.model.layers]
    maps = NETWORKS[name][2]
    if maps is None:
        assert "box_conv" not in names
        assert "box_flatten" not in names
        assert classifier.model.get_layer("box_dense1").input.shape == (None, 8)  # the vector
        return
    assert tuple(classifier.model.get_layer("box_conv").input.shape[1:]) == maps
    assert classifier.model.get_layer("box_flatten").output.shape == (None, maps[0] * maps[1] * HEAD.channels)


def test_every_layer_is_named_and_belongs_to_the_head() -> None:
    full = BoxHead(channels=5, dense=(7, 6), dropout=0.25, per_class=True, form="center_size")
    classifier = built("average", full)
    layers = [layer.name for layer in classifier.model.layers if layer.name.startswith("box")]
    assert layers == [
        *("box_conv", "box_conv_norm", "box_conv_activation", "box_flatten"),
        *("box_dense1", "box_dense1_norm", "box_dense1_activation", "box_dropout1"),
        *("box_dense2", "box_dense2_norm", "box_dense2_activation", "box_dropout2"),
        *("box_outputs", "box_of_class", "boxes", "box"),
    ]
    assert set(layers) | {"logits", "probabilities"} <= classifier.head
    plain = built("average", BoxHead(channels=None, dense=()))
    assert [layer.name for layer in plain.model.layers if layer.name.startswith("box")] == [
        *("box_flatten", "box_outputs", "boxes", "box")
    ]


@pytest.mark.parametrize("name", ["flatten", "resnet20"])
def test_the_class_head_and_its_names_stay_as_they_are_without_boxes(name: str) -> None:
    section, shape, _ = NETWORKS[name]
    with_boxes = shared(name).model
    without = build_classifier(section, shape=shape, num_classes=3).model
    assert {layer.name for layer in without.layers} <= {layer.name for layer in with_boxes.layers}


def test_last_maps_stop_at_maps_and_give_a_vector_back() -> None:
    inputs = keras.Input((8, 6, 3))
    maps = keras.layers.Conv2D(2, 3, name="maps")(inputs)
    vector = keras.layers.Dense(4)(keras.layers.Dropout(0.1)(keras.layers.GlobalMaxPooling2D()(maps)))
    assert box_heads.last_maps(vector) is maps
    assert box_heads.last_maps(maps) is maps
    assert box_heads.last_maps(keras.layers.Flatten()(inputs)) is inputs
    units = keras.layers.Dense(4)(keras.Input((5,)))
    assert box_heads.last_maps(units) is units
    joined = keras.layers.Add()([vector, keras.layers.Dense(4)(vector)])  # made of two
    assert box_heads.last_maps(joined) is joined


# Boxes ----------------------------------------------------------------------------------------------------------------


@every_head
def test_training_starts_from_the_middle_half_of_the_image(name: str, box_head: BoxHead) -> None:
    classifier = built(name, box_head) if name in QUICK else shared(name, box_head)
    boxes = classifier.trained(images(name), training=True)[1].numpy().reshape(-1, 4)
    np.testing.assert_allclose(boxes, np.broadcast_to([0.25, 0.25, 0.75, 0.75], boxes.shape), atol=0.03)


@pytest.mark.parametrize("form", ["corners", "center_size"])
@pytest.mark.parametrize("num_boxes", [1, 3])
def test_corners_are_in_order_whatever_the_outputs_are(form: Any, num_boxes: int) -> None:
    model, boxes = on_vector(VECTORS, form=form, num_boxes=num_boxes)
    assert boxes.shape == ((50, 4) if num_boxes == 1 else (50, num_boxes, 4))
    assert (boxes[..., :2] <= boxes[..., 2:]).all()
    sigmoids = (
        keras.Model(model.input, model.get_layer("box_outputs").output)(VECTORS).numpy().reshape(50, num_boxes, 4)
    )
    first, second = sigmoids[..., :2], sigmoids[..., 2:]
    if form == "corners":
        assert (first > second).any()  # there is something to put in order
    else:
        first, second = first - second / 2, first + second / 2
        assert boxes.min() < 0  # and may reach out of the image
        assert boxes.max() > 1
    expected = np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)
    np.testing.assert_allclose(boxes, expected.reshape(boxes.shape), atol=1e-6)


def test_outputs_by_hand() -> None:
    """Logits of 0.1, 0.9, 0.5 and 0.3: as left, top, right and bottom; as the center, width and height."""
    outputs = np.log(np.array([0.1, 0.9, 0.5, 0.3]) / (1 - np.array([0.1, 0.9, 0.5, 0.3])))
    for form, expected in (("corners", [0.1, 0.3, 0.5, 0.9]), ("center_size", [-0.15, 0.75, 0.35, 1.05])):
        model, _ = on_vector(VECTORS, form=form)
        model.get_layer("box_outputs").set_weights([np.zeros((8, 4)), outputs])
        np.testing.assert_allclose(model(VECTORS[:1])[0], expected, atol=1e-6)


def test_the_boxes_of_classes_are_the_rows_of_the_outputs() -> None:
    model, _ = on_vector(VECTORS, num_boxes=3)
    wanted = np.array([[0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.6, 0.9], [0.05, 0.5, 0.06, 0.7]])
    model.get_layer("box_outputs").set_weights([np.zeros((8, 12)), np.log(wanted / (1 - wanted)).reshape(-1)])
    np.testing.assert_allclose(model(VECTORS[:1])[0], wanted, atol=1e-6)


def test_the_final_box_is_the_likeliest_classs_and_inside() -> None:
    boxes, probabilities = keras.Input((3, 4)), keras.Input((3,))
    final = keras.Model([boxes, probabilities], box_heads.final_box(boxes, probabilities))
    assert final.layers[-1].name == "box"
    found = np.array([[[0.1, 0.1, 0.2, 0.2], [-0.5, 0.3, 1.5, 0.4], [0.3, -0.2, 0.4, 1.2]]] * 4, np.float32)
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]], np.float32)
    expected = [[0.1, 0.1, 0.2, 0.2], [0, 0.3, 1, 0.4], [0.3, 0, 0.4, 1], [0.1, 0.1, 0.2, 0.2]]  # the first of equals
    np.testing.assert_allclose(final([found, shares]), expected, atol=1e-6)
    one = keras.Input((4,))
    clipped = keras.Model([one, probabilities], box_heads.final_box(one, probabilities))([found[:, 1], shares])
    np.testing.assert_allclose(clipped, [[0, 0.3, 1, 0.4]] * 4, atol=1e-6)


def test_mixed_precision_keeps_boxes_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    classifier = built("dense", HEAD.model_copy(update={"per_class": True}))
    assert classifier.model.get_layer("box_conv").output.dtype == "float16"
    assert {output.dtype for output in classifier.trained.outputs} == {"float32"}
    assert {output.dtype for output in classifier.model.output.values()} == {"float32"}
    assert np.isfinite(classifier.model(images("dense"))["box"]).all()


# Gradients ------------------------------------------------------------------------------------------------------------


def gradients(classifier: ImageNetwork, name: str, **weights: float) -> dict[str, Any]:
    """Of both losses, or of those that have a weight, by the path of each trainable variable."""
    classes = classification_objectives.classification(num_classes=3, label_smoothing=0.0, class_weights=None)
    goal = localization_objectives.localization(
        classes=classes, box_loss="smooth_l1", **{"class_weight": 1.0, "box_weight": 1.0, **weights}
    )
    box = np.random.default_rng(4).uniform(0, 1, (8, 2, 2))
    y = {
        "class": tf.constant(np.arange(8) % 3),
        "box": tf.constant(np.concatenate([box.min(axis=1), box.max(axis=1)], axis=1), tf.float32),
        "box_weight": tf.ones(8),
    }
    variables = classifier.trained.trainable_variables
    with tf.GradientTape() as tape:
        outputs = classifier.trained(images(name, 8), training=True)
        loss = tf.reduce_mean(goal.loss(outputs, {"y": y, "weight": tf.ones(8)}))
    found = tape.gradient(loss, [variable.value for variable in variables])
    return {variable.path: gradient for variable, gradient in zip(variables, found, strict=True)}


def without(found: dict[str, Any]) -> list[str]:
    """The variables whose gradient is missing or 0."""
    return [path for path, gradient in found.items() if gradient is None or not np.abs(gradient).max() > 0]


@every_network
def test_every_trainable_variable_gets_a_gradient(name: str) -> None:
    found = gradients(shared(name), name)
    assert any(path.startswith("box_outputs") for path in found)
    assert any(path.startswith("logits") for path in found)
    assert without(found) == []


@pytest.mark.parametrize("form", ["corners", "center_size"])
def test_every_classs_outputs_get_a_gradient_from_its_samples(form: Any) -> None:
    found = gradients(built("dense", HEAD.model_copy(update={"per_class": True, "form": form})), "dense")
    assert without(found) == []
    bias = np.asarray(found["box_outputs/bias"]).reshape(3, 4)
    assert (np.abs(bias).max(axis=1) > 0).all()


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("losses", "own", "other"), [("class", "logits", "box_"), ("box", "box_outputs", "logits")])
def test_a_loss_alone_freezes_what_the_other_head_needs(name: str, losses: str, own: str, other: str) -> None:
    classifier = built(name)
    weights = {"box_weight": 0.0} if losses == "class" else {"class_weight": 0.0}
    for trainable in ("all", "head"):
        set_trainable(classifier, trainable, losses=losses)
        found = gradients(classifier, name, **weights)
        assert without(found) == []
        assert any(path.startswith(own) for path in found)
        assert not any(path.startswith(other) for path in found)
        assert any(path.startswith(("stage", "c1", "dense1")) for path in found) == (trainable == "all")
        set_trainable(classifier, trainable)  # and both again
        assert {"logits/kernel", "box_outputs/kernel"} <= {v.path for v in classifier.trained.trainable_variables}


@pytest.mark.parametrize("losses", ["class", "box"])
def test_what_a_loss_freezes_stays_as_it_is_in_training(losses: str) -> None:
    """The moving statistics of the other head's normalization too."""
    classifier = built("dense")
    set_trainable(classifier, "all", losses=losses)
    names = ("logits", "dense1") if losses == "box" else ("box_conv", "box_conv_norm", "box_dense1_norm", "box_outputs")
    layers = [classifier.model.get_layer(name) for name in names]
    before = [weight.numpy() for layer in layers for weight in layer.weights]
    classifier.trained(images("dense"), training=True)
    for weight, old in zip([weight for layer in layers for weight in layer.weights], before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    own = "stage1_norm1" if losses == "class" else "box_conv_norm"
    moving = classifier.model.get_layer(own).moving_mean.numpy().copy()
    classifier.trained(images("dense"), training=True)
    assert not np.array_equal(classifier.model.get_layer(own).moving_mean.numpy(), moving)


# Cutting --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUICK[:2])
@pytest.mark.parametrize("losses", ["all", "class", "box"])
def test_front_and_rest_of_two_heads_are_the_network(name: str, losses: str) -> None:
    classifier = built(name, HEAD.model_copy(update={"per_class": True, "dropout": 0.5}))
    set_trainable(classifier, "head", losses=losses)
    cut = split_front(classifier)
    assert cut is not None
    front, rest = cut
    assert len(front.outputs) == len(rest.inputs) == 1
    assert tuple(front.output.shape[1:]) == NETWORKS[name][2]  # both heads need the maps
    x = images(name)
    whole = classifier.trained(x, training=False)
    parts = rest(front(x, training=False), training=False)
    assert len(parts) == len(whole) == 2
    for part, expected in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(part, expected)
    assert front.trainable_variables == []
    assert [v.path for v in rest.trainable_variables] == [v.path for v in classifier.trained.trainable_variables]
    assert not any(isinstance(layer, keras.layers.Dropout) and layer.name in classifier.head for layer in front.layers)


def test_front_and_rest_from_a_stage_on() -> None:
    classifier = built("resnet20")
    set_trainable(classifier, "stage3")
    cut = split_front(classifier)
    assert cut is not None
    front, rest = cut
    x = images("resnet20")
    for part, expected in zip(rest(front(x, training=False)), classifier.trained(x), strict=True):
        np.testing.assert_array_equal(part, expected)
    assert {"stage3", "box_conv", "logits"} <= {layer.name for layer in rest.layers}


# Saved models ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path

import keras
import numpy as np

for file in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(file, compile=False)  # safe_mode is on
    outputs = model(np.load(file.with_suffix(".x.npy")))
    assert sorted(outputs) == ["box", "probabilities"], outputs
    for name, output in outputs.items():
        np.save(file.with_suffix(f".{name}.loaded.npy"), output.numpy())
assert "dlcli" not in sys.modules, "dlcli was imported"
"""


def save_networks(folder: Path) -> dict[str, np.ndarray]:
    """Saves networks with boxes and their inputs; returns their outputs by file and name."""
    expected: dict[str, np.ndarray] = {}
    for name, box_head in (("lenet5", HEAD), ("dense", OF_CLASSES), ("mlp", OF_CLASSES)):
        model, x = built(name, box_head).model, images(name, 3)
        assert {type(operation).__module__.split(".")[0] for operation in model.operations} == {"keras"}
        layer = model.get_layer("box_outputs")  # boxes that differ
        layer.set_weights([np.random.default_rng(2).normal(size=layer.kernel.shape), layer.bias.numpy()])
        file = folder / f"{name}_{box_head.form}.keras"
        np.save(file.with_suffix(".x.npy"), x)
        expected |= {f"{file.stem}.{output}": value.numpy() for output, value in model(x).items()}
        model.save(file)
    assert len(expected) == 6
    for value in expected.values():
        assert len(np.unique(value.round(4), axis=0)) > 1
    return expected


def test_a_saved_network_has_layers_of_keras_alone_and_gives_the_same_outputs(tmp_path: Path) -> None:
    expected = save_networks(tmp_path)
    for file in tmp_path.glob("*.keras"):
        outputs = keras.saving.load_model(file, compile=False)(np.load(file.with_suffix(".x.npy")))
        assert sorted(outputs) == ["box", "probabilities"]
        for name, output in outputs.items():
            np.testing.assert_array_equal(output, expected.pop(f"{file.stem}.{name}"))
    assert not expected


@pytest.mark.slow  # the test above loads them in this process
def test_a_saved_network_loads_in_a_program_without_dlcli(tmp_path: Path) -> None:
    expected = save_networks(tmp_path)
    # -P and a folder elsewhere: the working tree is not on the path
    finished = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    for name, value in expected.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.loaded.npy"), value)
