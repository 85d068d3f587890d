"""Faster training of grouped convolutions on a CPU.

TensorFlow 2.21 is fast at a grouped convolution and at its gradient with respect to the inputs. The gradient with
respect to the kernel, however, takes far longer on a CPU. Here it is computed group by group, as the gradient of one
small convolution each, with the same sums.

On processors on which TensorFlow does not use oneDNN, it computes none of this itself. Keras then has XLA do it, which
is left as it is.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Tensor = Any


def speed_up_kernel_gradients(model: keras.Model) -> None:
    """Makes the layers of a model, and of models nested in it, compute the gradients of grouped kernels group by group.

    The layers remain Keras's own, and are saved as such: only the method ``convolution_op`` of grouped Conv2D layers is
    replaced, which Keras provides for that purpose.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            speed_up_kernel_gradients(layer)
        elif type(layer) is keras.layers.Conv2D and layer.groups > 1 and _takes_groups():
            layer.convolution_op = _convolution_op(layer)


@functools.cache
def _takes_groups() -> bool:
    """Whether TensorFlow itself has the gradients of grouped convolutions on this processor."""
    try:
        with tf.init_scope():  # now, not when a graph that is being built will run
            pixel = tf.ones((1, 1, 1, 2))
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 1, 1, 2), filter=pixel, out_backprop=pixel, strides=[1, 1, 1, 1], padding="VALID"
            )
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _convolution_op(layer: keras.layers.Conv2D) -> Callable[[Tensor, Tensor], Tensor]:
    attributes = {
        "strides": [1, *layer.strides, 1],
        "padding": layer.padding.upper(),
        "dilations": [1, *layer.dilation_rate, 1],
    }
    groups = layer.groups

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolution(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            by_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **attributes
            )
            rows, columns, channels, filters = kernel.shape
            by_kernels = [
                tf.raw_ops.Conv2DBackpropFilter(
                    input=x_of_group,
                    filter_sizes=[rows, columns, channels, filters // groups],
                    out_backprop=upstream_of_group,
                    **attributes,
                )
                for x_of_group, upstream_of_group in zip(
                    tf.split(x, groups, axis=-1), tf.split(upstream, groups, axis=-1), strict=True
                )
            ]
            return by_inputs, tf.concat(by_kernels, axis=-1)

        return tf.raw_ops.Conv2D(input=x, filter=kernel, **attributes), gradient

    return lambda inputs, kernel: convolution(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))
