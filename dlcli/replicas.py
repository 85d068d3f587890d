"""Computing the samples of a batch by the replicas of a tf.distribute strategy, each its share."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def divided(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that divides its samples evenly among the replicas on this machine, and joins their outputs in order.

    Where there are fewer samples than replicas, some replicas compute a sample whose outputs are dropped. Without
    several replicas it is the function itself. The result is to be called while a function is traced.

    Args:
        function: takes scalars, which all replicas get, and tensors whose first dimension is the samples; returns
            tensors whose first dimension is the samples.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1 or len(strategy.extended.worker_devices) == 1:
        return function  # replicas of other machines have batches of their own
    num_replicas = strategy.num_replicas_in_sync

    def on_replica(*tensors: Any) -> Any:
        num_samples = next(tf.shape(tensor)[0] for tensor in tensors if tensor.shape.rank)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        first, last = (number * num_samples // num_replicas for number in (replica, replica + 1))
        start = tf.where(last > first, first, 0)
        end = tf.maximum(last, start + 1)
        own = [tensor[start:end] if tensor.shape.rank else tensor for tensor in tensors]
        return tf.nest.map_structure(lambda output: output[: last - first], function(*own))

    def on_all(*tensors: Any) -> Any:
        outputs = strategy.run(on_replica, args=tensors)
        return tf.nest.map_structure(lambda output: tf.concat(strategy.experimental_local_results(output), 0), outputs)

    return on_all
