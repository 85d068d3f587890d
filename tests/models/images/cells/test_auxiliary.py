"""The auxiliary classifier of networks of searched cells."""

import math

import keras
import pytest

from dlcli.errors import InputError
from dlcli.models.images.cells import auxiliary


@pytest.mark.parametrize(("width", "first", "second"), [(1.0, 128, 768), (0.4, 51, 307)])
def test_weights_at_the_size_of_nasnet_by_hand(width: float, first: int, second: int) -> None:
    """Maps of 21x21 in the large NASNet-A: the pooling leaves 6x6. With 1,000 classes its head has 4,567,784 weights
    in a separate implementation."""
    with keras.StatelessScope(initialize_variables=False):
        inputs = keras.Input((21, 21, 2016))
        outputs = auxiliary.vector(inputs, width=width)
        model = keras.Model(inputs, outputs)
        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    keras.backend.clear_session()
    assert outputs.shape == (None, second)
    assert trainable == 2016 * first + 2 * first + 36 * first * second + 2 * second
    if width == 1.0:
        assert trainable + second * 1000 + 1000 == 93_320_934 - 88_753_150


def test_maps_that_are_too_small() -> None:
    with pytest.raises(InputError, match=r"model.auxiliary needs maps of at least 5x5 .* Received .* maps of 4x9"):
        auxiliary.vector(keras.Input((4, 9, 8)), width=1.0)
