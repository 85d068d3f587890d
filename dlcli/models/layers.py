"""Choices about layers that the families without a paper of their own share."""

BATCH_NORM_MOMENTUM = 0.9
"""Of the moving averages that take the batch's place after training. Keras's default, 0.99, needs hundreds of steps to
catch up with the weights, more than a small data set has in several epochs."""


def kernel_initializer(activation: str) -> str:
    """Keras's name of the initialiser for the layer before an activation.

    Each keeps the variance of the signal from layer to layer at the start: He et al. 2015 ("Delving deep into
    rectifiers", eq. 10) for ReLU and its kin, which pass about half of it; Klambauer et al. 2017 ("Self-normalizing
    neural networks", section 2) for SELU; Glorot and Bengio 2010 (eq. 16) for what is symmetric around 0 or linear.
    """
    match activation:
        case "relu" | "leaky_relu" | "elu" | "gelu" | "silu":
            return "he_normal"
        case "selu":
            return "lecun_normal"
        case _:
            return "glorot_uniform"
