"""PolyNet: Zhang, Li, Loy and Lin 2017, "PolyNet: a pursuit of structural diversity in very deep networks".

The Very Deep PolyNet of section 5. Everything but its PolyInception modules is taken from Inception-ResNet-v2
(Szegedy, Ioffe, Vanhoucke and Alemi 2017, figures 3 and 16 to 19).
"""

from typing import Any

import keras

from dlcli.models.images.layers import check_sides, conv, conv_norm_relu, kernel_initializer, norm, relu, scaled

Tensor = Any  # a symbolic keras.KerasTensor
Convolution = tuple[int, int | tuple[int, int]]  # filters, kernel
Paths = tuple[tuple[Convolution, ...], ...]  # parallel paths, each a sequence of convolutions

INCEPTION: dict[str, Paths] = {
    "a": (((32, 1), (48, 3), (64, 3)), ((32, 1), (32, 3)), ((32, 1),)),
    "b": (((128, 1), (160, (1, 7)), (192, (7, 1))), ((192, 1),)),
    "c": (((192, 1), (224, (1, 3)), (256, (3, 1))), ((192, 1),)),
}
"""The paths of an Inception block F in each stage, before the 1x1 convolution that combines them."""

REDUCTION: dict[str, Paths] = {
    "a": (((256, 1), (256, 3), (384, 3)), ((384, 3),)),
    "b": (((256, 1), (256, 3), (256, 3)), ((256, 1), (256, 3)), ((256, 1), (384, 3))),
}
"""The paths of the reduction after a stage, parallel to max pooling; the last convolution of each has stride 2."""

NUM_MODULES = (10, 20, 10)
"""Number of modules in each stage: 10 2-way modules; then 20 and 10, alternating poly-3 and 2-way ("10-20-10 mix")."""

SMALLEST_SIDE = 75


def features(inputs: Tensor, *, width: float, num_modules: tuple[int, int, int]) -> Tensor:
    """PolyNet without its head: the stem, and three stages of modules with reductions between them.

    Args:
        inputs: ``[batch, height, width, channels]``, sides of 75 or more; the paper's are 331.
        width: factor on all numbers of filters.
        num_modules: number of modules in each stage; the paper's are NUM_MODULES.

    Returns:
        ``[batch, 9, 9, 2048 * width]`` for images of 331x331; the last layers of stages A, B and C are ``stage1``,
        ``stage2`` and ``stage3``.

    Raises:
        InputError: a side below 75.
    """
    check_sides(inputs, smallest=SMALLEST_SIDE, network="polynet")
    x = _stem(inputs, width)
    steps = max(1, sum(num_modules) - 1)
    position = 0
    for stage, (letter, repeats) in enumerate(zip("abc", num_modules, strict=True), start=1):
        for number in range(1, repeats + 1):
            x = _module(
                x,
                letter,
                is_poly=letter != "a" and number % 2 == 1,
                scale=1 - 0.3 * position / steps,  # from 1 at the first module to 0.7 at the last
                width=width,
                name=f"stage{stage}_module{number}",
                last=f"stage{stage}" if number == repeats else f"stage{stage}_module{number}_out",
            )
            position += 1
        if letter in REDUCTION:
            x = _reduction(x, REDUCTION[letter], width=width, name=f"reduction_{letter}")
    return x


def _module(x: Tensor, letter: str, *, is_poly: bool, scale: float, width: float, name: str, last: str) -> Tensor:
    """A PolyInception module (figure 4).

    poly-3: I + F + F² + F³, where the Fs share only the convolutions of their paths. 2-way: I + F + G.
    """
    paths, outputs = INCEPTION[letter], x.shape[-1]  # 384, 1152 and 2048 maps in the three stages
    terms = []
    if is_poly:
        shared = _convolutions(paths, width=width, name=name)
        y = x
        for order in (1, 2, 3):
            y = _inception(y, shared, outputs, name=f"{name}_order{order}")
            terms.append(y)
            if order < 3:
                y = relu(y, name=f"{name}_order{order}_relu")
    else:
        for way in ("f", "g"):
            own = _convolutions(paths, width=width, name=f"{name}_{way}")
            terms.append(_inception(x, own, outputs, name=f"{name}_{way}"))
    total = keras.layers.Add(name=f"{name}_sum")(terms)
    total = keras.layers.Rescaling(scale, name=f"{name}_scale")(total)
    return relu(keras.layers.Add(name=f"{name}_add")([x, total]), name=last)


def _convolutions(paths: Paths, *, width: float, name: str) -> list[list[keras.layers.Layer]]:
    return [
        [
            keras.layers.Conv2D(
                scaled(filters, width),
                kernel_size,
                padding="same",
                use_bias=False,
                kernel_initializer=kernel_initializer("relu"),
                name=f"{name}_path{p}_conv{c}",
            )
            for c, (filters, kernel_size) in enumerate(path, start=1)
        ]
        for p, path in enumerate(paths, start=1)
    ]


def _inception(x: Tensor, convolutions: list[list[keras.layers.Layer]], outputs: int, *, name: str) -> Tensor:
    """F: the paths, each with its own normalizations, and a 1x1 convolution without ReLU."""
    ends = []
    for p, path in enumerate(convolutions, start=1):
        y = x
        for c, convolution in enumerate(path, start=1):
            y = norm(convolution(y), name=f"{name}_path{p}_norm{c}")
            y = relu(y, name=f"{name}_path{p}_relu{c}")
        ends.append(y)
    y = keras.layers.Concatenate(name=f"{name}_join")(ends)
    return norm(conv(y, outputs, 1, name=f"{name}_conv"), name=f"{name}_norm")


def _stem(x: Tensor, width: float) -> Tensor:
    """Szegedy et al. 2017, figure 3: from 331x331 to 39x39, 384 maps."""

    def step(x: Tensor, filters: int, kernel_size: int | tuple[int, int], *, name: str, **keys: Any) -> Tensor:
        return conv_norm_relu(x, scaled(filters, width), kernel_size, name=f"stem_{name}", **keys)

    x = step(x, 32, 3, strides=2, padding="valid", name="1")
    x = step(x, 32, 3, padding="valid", name="2")
    x = step(x, 64, 3, name="3")
    pooled = keras.layers.MaxPooling2D(3, strides=2, name="stem_4_pool")(x)
    x = step(x, 96, 3, strides=2, padding="valid", name="4")
    x = keras.layers.Concatenate(name="stem_4_join")([pooled, x])
    short = step(x, 64, 1, name="short_1")
    short = step(short, 96, 3, padding="valid", name="short_2")
    long = step(x, 64, 1, name="long_1")
    long = step(long, 64, (7, 1), name="long_2")
    long = step(long, 64, (1, 7), name="long_3")
    long = step(long, 96, 3, padding="valid", name="long_4")
    x = keras.layers.Concatenate(name="stem_5_join")([short, long])
    pooled = keras.layers.MaxPooling2D(3, strides=2, name="stem_6_pool")(x)
    x = step(x, 192, 3, strides=2, padding="valid", name="6")
    return keras.layers.Concatenate(name="stem_6_join")([pooled, x])


def _reduction(x: Tensor, paths: Paths, *, width: float, name: str) -> Tensor:
    """Halves height and width: the paths and a max pooling in parallel, with unpadded strides of 2."""
    ends = []
    for p, path in enumerate(paths, start=1):
        y = x
        for c, (filters, kernel_size) in enumerate(path, start=1):
            keys: dict[str, Any] = {"strides": 2, "padding": "valid"} if c == len(path) else {}
            y = conv_norm_relu(y, scaled(filters, width), kernel_size, name=f"{name}_path{p}_{c}", **keys)
        ends.append(y)
    ends.append(keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x))
    return keras.layers.Concatenate(name=f"{name}_join")(ends)
