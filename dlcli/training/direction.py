"""Whether lower or higher values of a metric are better."""

FALLING = ("loss", "error", "mse", "mae", "mase", "perplexity", "bits", "bits_wrong", "unknown_words")
"""Endings of the names of metrics for which lower is better; ``rmse`` ends as ``mse`` does."""


def lower_is_better(metric: str) -> bool:
    """Whether lower values of a metric, such as ``val_loss`` or ``test_bits_wrong_at_20``, are better."""
    return metric.partition("_at_")[0].endswith(FALLING)
