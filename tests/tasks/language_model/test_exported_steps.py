"""An exported language model that is called step by step."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlcli.tasks.language_model.exported_steps import ExportedSteps


def counting(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """An exported model whose state is the sum of the ids."""
    total = inputs["sum"] + inputs["ids"]
    return {"logits": np.concatenate([total, -total], axis=1), "sum_next": total}


def recurrent() -> ExportedSteps:
    ids, total = keras.Input((1,), dtype="int32", name="ids"), keras.Input((1,), name="sum")
    return ExportedSteps(counting, keras.Model([ids, total], total), most=9)


def test_states_are_carried_unless_a_batch_is_the_first() -> None:
    steps = recurrent()
    ids = np.array([[1, 2], [3, 4]])
    for is_first, expected in ((True, [[1, 3], [3, 7]]), (False, [[4, 6], [10, 14]]), (True, [[1, 3], [3, 7]])):
        found = np.asarray(steps({"ids": ids, "is_first": np.full(2, is_first)}))
        assert found.shape == (2, 2, 2)
        np.testing.assert_array_equal(found[..., 0], expected)
    np.testing.assert_array_equal(np.asarray(steps(ids))[..., 0], [[1, 3], [3, 7]])  # without states to carry


def test_generation_continues_where_it_stopped() -> None:
    next_logits = recurrent().start()
    np.testing.assert_array_equal(next_logits(np.array([[1, 2, 3]])), [[6, -6]])
    np.testing.assert_array_equal(next_logits(np.array([[4]])), [[10, -10]])


def test_without_states_the_last_tokens_are_read() -> None:
    seen = []

    def runtime(inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        seen.append(inputs["ids"].tolist())
        return {"logits": inputs["ids"][:, -1:].astype(np.float32)}

    ids = keras.Input((None,), dtype="int32", name="ids")
    steps = ExportedSteps(runtime, keras.Model(ids, ids), most=2)
    np.testing.assert_array_equal(np.asarray(steps(np.array([[5, 6, 7]])))[..., 0], [[5, 6, 7]])
    assert seen == [[[5]], [[5, 6]], [[6, 7]]]
    next_logits = steps.start()
    next_logits(np.array([[1, 2, 3]]))
    next_logits(np.array([[4]]))
    assert seen[-2:] == [[[2, 3]], [[3, 4]]]
