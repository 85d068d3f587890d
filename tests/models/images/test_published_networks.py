"""Properties of all networks from papers: shapes, heads, small inputs, gradients, learning."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from layer_tables import table_of  # type: ignore[import-not-found]
from learning import assert_gradients, assert_learns  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.recipe.sections.image_model import Application, Dpn, ImageClassifier, Polynet, Resnet, Resnext, Senet, Vgg

# Shapes ---------------------------------------------------------------------------------------------------------------

STAGES = {  # the sides of each stage for inputs of 224x224, and of 160x97
    "vgg": [(112, 56, 28, 14, 7), ((80, 48), (40, 24), (20, 12), (10, 6), (5, 3))],
    "imagenet": [(56, 28, 14, 7), ((40, 25), (20, 13), (10, 7), (5, 4))],
    "small": [(224, 112, 56, 28), ((160, 97), (80, 49), (40, 25), (20, 13))],
    "cifar": [(224, 112, 56), ((160, 97), (80, 49), (40, 25))],
    "polynet": [(25, 12, 5), ((17, 9), (8, 4), (3, 1))],
}


def large(*values: object) -> Any:
    """A case whose network takes seconds to build; a smaller one of its family is quick."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("section", "stages", "channels"),
    [
        *(large(Vgg(kind="vgg", depth=depth), "vgg", (64, 128, 256, 512, 512)) for depth in (11, 13, 19)),
        (Vgg(kind="vgg", depth=16), "vgg", (64, 128, 256, 512, 512)),
        (Resnet(kind="resnet", depth=18), "imagenet", (64, 128, 256, 512)),
        large(Resnet(kind="resnet", depth=34), "imagenet", (64, 128, 256, 512)),
        (Resnet(kind="resnet", depth=50), "imagenet", (256, 512, 1024, 2048)),
        large(Resnet(kind="resnet", depth=101), "imagenet", (256, 512, 1024, 2048)),
        large(Resnet(kind="resnet", depth=34, version=2), "imagenet", (64, 128, 256, 512)),
        (Resnet(kind="resnet", depth=18, stem="small"), "small", (64, 128, 256, 512)),
        (Resnet(kind="resnet", depth=20), "cifar", (16, 32, 64)),
        large(Resnet(kind="resnet", depth=56), "cifar", (16, 32, 64)),
        (Resnet(kind="resnet", depth=20, version=2), "cifar", (16, 32, 64)),
        large(Resnext(kind="resnext", variant="50_32x4d"), "imagenet", (256, 512, 1024, 2048)),
        large(Resnext(kind="resnext", variant="101_64x4d"), "imagenet", (256, 512, 1024, 2048)),
        (Senet(kind="senet", variant="se_resnet50"), "imagenet", (256, 512, 1024, 2048)),
        large(Senet(kind="senet", variant="senet154"), "imagenet", (256, 512, 1024, 2048)),
        (Dpn(kind="dpn", depth=68), "imagenet", (144, 320, 704, 832)),
        large(Dpn(kind="dpn", depth=92), "imagenet", (336, 704, 1552, 2688)),
        large(Polynet(kind="polynet"), "polynet", (384, 1152, 2048)),
        (Resnet(kind="resnet", depth=18, width=0.5), "imagenet", (32, 64, 128, 256)),
    ],
)  # fmt: skip
def test_stages_at_two_sizes(section, stages: str, channels: tuple[int, ...]) -> None:
    for size, sides in zip(((224, 224), (160, 97)), STAGES[stages], strict=True):
        rows = {row.name: row for row in table_of(section, (*size, 3), 7).rows}
        found = [rows[f"stage{i}"].output_shapes[0] for i in range(1, len(sides) + 1)]
        pairs = [(side, side) if isinstance(side, int) else side for side in sides]
        assert found == [(*pair, count) for pair, count in zip(pairs, channels, strict=True)]
        assert f"stage{len(sides) + 1}" not in rows
        assert rows["logits"].output_shapes == ((7,),)


@pytest.mark.parametrize("head", ["paper", "average", "max"])
@pytest.mark.parametrize(
    "section",
    [
        Vgg(kind="vgg", dense=(5,)),
        Resnet(kind="resnet", depth=18),
        Application(kind="application", network="mobilenet"),
    ],
)
def test_heads_and_dropout(section, head: str) -> None:
    kinds = {
        row.name: row.kind
        for row in table_of(section.model_copy(update={"head": head, "dropout": 0.3}), (64, 64, 3), 4).rows
    }
    pooling = {"max": "GlobalMaxPooling2D", "average": "GlobalAveragePooling2D"}
    wanted = "Flatten" if head == "paper" and section.kind == "vgg" else pooling.get(head, pooling["average"])
    assert wanted in kinds.values()
    assert list(kinds.values()).count("Dropout") == 1
    without = table_of(section.model_copy(update={"head": head, "dropout": 0.0}), (64, 64, 3), 4)
    if section.kind != "application" or head != "paper":  # Keras's own layer then has the proportion 0
        assert all(row.kind != "Dropout" for row in without.rows)


@pytest.fixture
def rates(build_classifier: Callable[..., keras.Model]) -> Callable[[ImageClassifier], list[float]]:
    """The rates of a network's dropout layers."""

    def of(section: ImageClassifier) -> list[float]:
        with keras.StatelessScope(initialize_variables=False):  # which allocates no weights
            layers = build_classifier(section, (75, 75, 3), 3).layers
            return [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)]

    return of


def test_the_papers_dropout_is_the_default(rates) -> None:
    assert rates(Vgg(kind="vgg", depth=11, width=0.02, dense=(4, 4))) == [0.5, 0.5]
    assert rates(Resnet(kind="resnet", depth=20)) == []
    assert rates(Application(kind="application", network="mobilenetv3small")) == [0.2]
    assert rates(Application(kind="application", network="mobilenetv3small", dropout=0.6)) == [0.6]
    assert rates(Application(kind="application", network="mobilenetv3small", dropout=0.0)) == [0.0]
    assert rates(Application(kind="application", network="mobilenetv3small", head="max")) == []


@pytest.mark.slow  # these have hundreds of layers at every width
def test_the_dropout_of_large_networks_is_the_papers(rates) -> None:
    assert rates(Senet(kind="senet", variant="senet154")) == [0.2]
    assert rates(Polynet(kind="polynet")) == [0.2]
    assert rates(Polynet(kind="polynet", dropout=0.0)) == []


# Inputs that are too small --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "smallest"),
    [
        (Vgg(kind="vgg", depth=11, dense=()), 32),
        large(Polynet(kind="polynet", width=0.05), 75),
        (Application(kind="application", network="inceptionv3"), 75),
        (Application(kind="application", network="xception"), 71),
        (Application(kind="application", network="mobilenetv3small"), 32),
        large(Application(kind="application", network="nasnetmobile"), 32),
    ],
)
def test_the_smallest_side_is_named_and_is_the_smallest(section, smallest: int) -> None:
    assert table_of(section, (smallest, smallest + 1, 3), 3).rows[-1].output_shapes == ((3,),)
    with pytest.raises(InputError) as error:
        table_of(section, (smallest, smallest - 1, 3), 3)
    message = str(error.value)
    assert f"at least {smallest}x{smallest}: set data.image_size. Received {smallest}x{smallest - 1}." in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "section",
    [
        Resnet(kind="resnet", depth=18),
        Resnet(kind="resnet", depth=50, version=2),
        Resnet(kind="resnet", depth=20),
        Resnext(kind="resnext"),
        Senet(kind="senet"),
        Dpn(kind="dpn", depth=68),
    ],
)
def test_what_is_convolutional_to_the_end_takes_a_single_pixel(section) -> None:
    assert table_of(section, (1, 1, 3), 3).rows[-1].output_shapes == ((3,),)


# Gradients and learning -----------------------------------------------------------------------------------------------

SMALL = {
    "vgg": (Vgg(kind="vgg", depth=11, width=0.125, dense=(16,), dropout=0.0), (32, 32, 3)),
    "vgg with batch norm": (Vgg(kind="vgg", depth=13, width=0.125, dense=(), batch_norm=True), (32, 32, 3)),
    "resnet 18": (Resnet(kind="resnet", depth=18, width=0.125, stem="small"), (16, 16, 3)),
    "resnet 50 version 2": (Resnet(kind="resnet", depth=50, version=2, width=0.125), (32, 32, 3)),
    "resnet 20": (Resnet(kind="resnet", depth=20, width=0.5), (16, 16, 1)),
    "resnet 20 version 2": (Resnet(kind="resnet", depth=20, version=2, width=0.5), (16, 16, 1)),
    "resnext": (Resnext(kind="resnext", width=0.125), (32, 32, 3)),
    "senet": (Senet(kind="senet", width=0.25), (32, 32, 3)),
    "dpn": (Dpn(kind="dpn", depth=68, width=0.25), (32, 32, 3)),
    "application": (Application(kind="application", network="mobilenetv3small", dropout=0.0), (32, 32, 3)),
}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("dpn", "resnext", "application")))
        for name in sorted(SMALL)
    ]
)
def small(request: pytest.FixtureRequest, build_classifier: Callable[..., keras.Model]) -> keras.Model:
    section, shape = SMALL[request.param]
    return build_classifier(section, shape, 3)


def test_every_trainable_variable_gets_a_gradient(small: keras.Model) -> None:
    assert_gradients(small)


@pytest.mark.parametrize(
    "name",
    [
        "vgg",
        *(
            pytest.param(name, marks=pytest.mark.slow)  # their steps take long to trace
            for name in (
                "vgg with batch norm",
                "resnet 20",
                "resnet 18",
                "resnet 50 version 2",
                "resnet 20 version 2",
                "resnext",
                "senet",
                "dpn",
                "application",
            )
        ),
    ],
)
def test_a_batch_is_learned(name: str, build_classifier) -> None:
    section, shape = SMALL[name]
    assert_learns(build_classifier(section, shape, 3))
