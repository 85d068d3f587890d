"""Networks of searched cells: exact counts, shapes, stages, gradients."""

from collections.abc import Callable
from typing import Any, get_args

import keras
import pytest
from layer_tables import table_of  # type: ignore[import-not-found]
from learning import assert_gradients  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.models.images.cells import cells, operations
from dlcli.models.images.cells.published import GENOTYPES
from dlcli.recipe.sections.genotype import OPERATIONS, Genotype, GenotypeName
from dlcli.recipe.sections.image_model import Cells

TINY = {
    "normal": {"states": [["sep3(s0)", "identity(s1)"], ["avg3(s0)", "max2(s2)"]], "concatenate": ["s1", "s3"]},
    "reduction": {"states": [["max3(s0)", "conv3(s1)"]], "concatenate": ["s0", "s2"]},
}


def small(genotype: Any = "nasnet_a", **keys: Any) -> Cells:
    if not isinstance(genotype, str):
        genotype = Genotype.model_validate(genotype, strict=False)
    return Cells(kind="cells", genotype=genotype, **{"repeats": 1, "filters": 4, **keys})


def arguments(**keys: Any) -> dict[str, Any]:
    return {"genotype": TINY, "repeats": 2, "stem_filters": 8, "drop_path": 0.0, **keys}


def test_recipes_know_the_genotypes_and_operations() -> None:
    assert set(GENOTYPES) == set(get_args(GenotypeName))
    assert set(operations.OPERATIONS) == set(OPERATIONS)
    for genotype in GENOTYPES.values():
        Genotype.model_validate(genotype, strict=False)


# Counts ---------------------------------------------------------------------------------------------------------------

# those of the published networks are in tests/report/cost/test_published.py


@pytest.mark.slow
@pytest.mark.parametrize(
    ("genotype", "repeats", "filters", "side", "trainable", "parameters", "multiply_adds"),
    [
        ("pnasnet_5", 3, 54, 224, 5_065_121, 5_098_837, 587_674_224),
        ("amoebanet_a", 4, 50, 224, 5_088_162, 5_124_266, 555_500_996),
        ("amoebanet_b", 3, 62, 224, 5_258_619, 5_291_667, 554_906_744),
        ("amoebanet_c", 4, 50, 224, 6_354_920, 6_398_814, 677_652_384),
        ("amoebanet_c", 6, 228, 331, 155_272_266, 155_548_436, 41_127_908_664),
    ],
)
def test_odd_halves(
    genotype, repeats, filters, side, trainable, parameters, multiply_adds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A separate implementation rounds both halves of a factorized reduction down where F/2 or F/4 is odd."""

    def even(x: Any, *, filters: int, strides: int, name: str) -> Any:
        filters -= filters % 2 if strides > 1 else 0
        return operations.factorized_reduction(x, filters=filters, strides=strides, name=name)

    monkeypatch.setattr("dlcli.models.images.cells.cell.factorized_reduction", even)
    section = small(genotype, repeats=repeats, filters=filters, stem="imagenet")
    table = table_of(section, (side, side, 3), 1000)
    assert (table.trainable, table.parameters, table.operations.multiply_adds) == (trainable, parameters, multiply_adds)


def test_counts_of_a_written_genotype_by_hand() -> None:
    """All weights of a network with F = 4 and one normal cell in each stage, for gray images."""
    table = table_of(small(TINY, filters=4), (8, 8, 1), 10)

    def sep(inputs: int, f: int) -> int:
        return 9 * inputs + inputs * f + 2 * f + 9 * f + f * f + 2 * f

    def conv(inputs: int, f: int, kernel: int = 1) -> int:
        return kernel * inputs * f + 2 * f

    total = conv(1, 12, 9)  # the stem
    total += conv(12, 4) + sep(4, 4) + 2 * conv(12, 4)  # s0; s2, with an identity of 12 maps; s1, which is joined
    before, last = 12, 8
    for f in (8, 16):  # the reduction, then the normal cell
        total += conv(last, f) + (conv(before, f) if before != f else 0)  # s0, s1
        total += conv(f, f // 4) + conv(f // 4, f // 4, 9) + conv(f // 4, f)  # the bottleneck
        total += conv(f, f)  # s0 is joined at half its size
        total += conv(2 * f, f) + conv(last, f) + sep(f, f)
        before, last = 2 * f, 2 * f
    assert table.trainable == total + 32 * 10 + 10


# Shapes and stages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stem", "sides"), [("cifar", (9, 5, 3)), ("imagenet", (1, 1, 1))])
def test_stages(stem: str, sides: tuple[int, ...]) -> None:
    rows = {row.name: row for row in table_of(small(TINY, filters=8, stem=stem), (9, 9, 3), 4).rows}
    found = [rows[f"stage{stage}"].output_shapes[0] for stage in (1, 2, 3)]
    assert found == [(side, side, 2 * 8 * 2**stage) for stage, side in enumerate(sides)]
    assert {row.receptive_field for row in rows.values() if row.name == "stage1"} != {None}


def test_images_of_any_size() -> None:
    with keras.StatelessScope(initialize_variables=False):
        maps = cells.features(
            keras.Input((None, None, 3)),
            **arguments(filters=8, stem="imagenet", skip_reduction_input=True),
        )
    assert maps.shape == (None, None, None, 64)
    keras.backend.clear_session()


def test_the_smallest_side_with_the_imagenet_stem() -> None:
    with pytest.raises(InputError, match=r"at least 3x3: set data.image_size. Received 2x9."):
        table_of(small(TINY, filters=8, stem="imagenet"), (2, 9, 3), 4)


def test_the_inputs_of_the_first_cell_after_a_reduction() -> None:
    """s1 is the input of the reduction, or with ``skip_reduction_input`` the output of the cell before it."""

    def source(skip: bool) -> str:
        with keras.StatelessScope(initialize_variables=False):
            inputs = keras.Input((16, 16, 3))
            outputs = cells.features(
                inputs,
                **arguments(filters=4, stem="cifar", skip_reduction_input=skip),
            )
            network = keras.Model(inputs, outputs)
            name = str(network.get_layer("stage2_cell1_s1_relu").input._keras_history.operation.name)
        keras.backend.clear_session()
        return name

    assert source(False) == "stage1"
    assert source(True) == "stage1_cell1_joined"


def test_without_a_reduction_cell_the_first_cell_of_a_stage_has_the_stride() -> None:
    rows = {row.name: row for row in table_of(small("pnasnet_5", repeats=2), (8, 8, 1), 10).rows}
    assert rows["stage2_cell1_joined"].output_shapes == ((4, 4, 5 * 8),)
    assert not any("reduction" in name for name in rows)


# Training -------------------------------------------------------------------------------------------------------------


def test_every_trainable_variable_gets_a_gradient(build_classifier: Callable[..., keras.Model]) -> None:
    assert_gradients(build_classifier(small(TINY), (8, 8, 1), 3))


@pytest.mark.slow
@pytest.mark.parametrize("genotype", sorted(GENOTYPES))
def test_every_published_network_gets_gradients(genotype: str, build_classifier: Callable[..., keras.Model]) -> None:
    assert_gradients(build_classifier(small(genotype), (16, 16, 3), 3))
