"""Receptive fields of published networks."""

import pytest
from layer_tables import table_of  # type: ignore[import-not-found]

from dlcli.recipe.sections.image_model import Application, Resnet, Senet, Vgg
from dlcli.tasks.images.network import build_classifier


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenetv3small", head=head)
    return build_classifier(section, shape=shape, num_classes=3)


@pytest.mark.parametrize(
    ("section", "field"),
    [  # Araujo, Norris and Sim 2019, table of receptive fields
        (Vgg(kind="vgg"), 212),
        (Resnet(kind="resnet", depth=50), 483),
        (Resnet(kind="resnet", depth=101), 1027),
        (Resnet(kind="resnet", depth=152), 1507),
        (Resnet(kind="resnet", depth=50, version=2), 483),
        (Application(kind="application", network="inceptionv3"), 1311),
        (Application(kind="application", network="inceptionresnetv2"), 3039),
        (Application(kind="application", network="mobilenet"), 315),
        (Resnet(kind="resnet", depth=20), 81),  # 3 + 6 * 2 = 15; + (1 + 5 * 2) * 2 = 37; + (1 + 5 * 2) * 4 = 81
    ],
)
def test_receptive_fields(section, field: int) -> None:
    rows = table_of(section, (224, 224, 3), 3).rows
    assert [row.receptive_field for row in rows if isinstance(row.receptive_field, tuple)][-1] == (field, field)
    assert all(row.receptive_field is not None for row in rows)
    assert rows[-1].receptive_field == "all"


def test_squeeze_and_excitation_sees_everything() -> None:
    rows = {row.name: row for row in table_of(Senet(kind="senet"), (64, 64, 3), 3).rows}
    assert rows["stage1_block1_3_norm"].receptive_field == (19, 19)
    assert rows["stage1_block1_se_scale"].receptive_field == "all"
    assert rows["stage4"].receptive_field == "all"
