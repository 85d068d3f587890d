"""Heads of vectors: what they refuse."""

import keras
import pytest

from dlcli.models.heads import vector as heads


def test_a_head_refuses_what_it_cannot_take() -> None:
    with pytest.raises(ValueError, match=r"flatten or pool them first\. Received shape \[None, 7, 7, 64\]"):
        heads.classification(keras.Input((7, 7, 64)), num_classes=10)
    with pytest.raises(ValueError, match=r"at least 2 classes\. Received 1\."):
        heads.classification(keras.Input((7,)), num_classes=1)
