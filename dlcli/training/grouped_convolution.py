"""Faster training of grouped convolutions on a CPU.

TensorFlow 2.21 is fast at a grouped convolution and, on processors where it uses oneDNN, at its gradient with respect
to the inputs. The gradient with respect to the kernel, however, takes far longer on a CPU. Here it is computed group by
group, as the gradient of one small convolution each, with the same sums. So is the gradient with respect to the inputs
without oneDNN, where TensorFlow has none for groups.
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
        elif type(layer) is keras.layers.Conv2D and layer.groups > 1 and _has_gradient(layer):
            layer.convolution_op = _convolution_op(layer)


def _has_gradient(layer: keras.layers.Conv2D) -> bool:
    """False for dilated layers without oneDNN: their gradient is XLA's, to which Keras turns by itself."""
    return max(layer.dilation_rate) == 1 or _takes_groups()


@functools.cache
def _takes_groups() -> bool:
    """Whether TensorFlow has a gradient with respect to the inputs of all groups here, which oneDNN alone has."""
    pixel = tf.ones((1, 1, 1, 2))
    try:
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
            parts = groups if not _takes_groups() else 1
            sizes = tf.concat([tf.shape(x)[:3], [x.shape[-1] // parts]], axis=0)
            by_inputs = [
                tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=sizes, filter=kernel_of_part, out_backprop=upstream_of_part, **attributes
                )
                for kernel_of_part, upstream_of_part in zip(
                    tf.split(kernel, parts, axis=-1), tf.split(upstream, parts, axis=-1), strict=True
                )
            ]
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
            return tf.concat(by_inputs, axis=-1), tf.concat(by_kernels, axis=-1)

        return tf.raw_ops.Conv2D(input=x, filter=kernel, **attributes), gradient

    return lambda inputs, kernel: convolution(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))
