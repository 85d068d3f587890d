"""What ``dlcli explain`` writes of the attention weights of texts: a table, and a plot of the first texts."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.explanation.sequences.attention import attention_of, read_by_heads
from dlcli.report.plots.token_maps import token_maps
from dlcli.rundir.tables import rows_text
from dlcli.tasks.sequences.output_explanation import ATTENTION
from dlcli.tasks.sequences.tokens import encodable

HEADING = f"{ATTENTION}: what each head reads, on average over the tokens that read"


def attention_files(
    model: keras.Model, names: Sequence[str], texts: Sequence[str], tokens: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """attention.csv and attention.png; nothing for networks without attention.

    Args:
        model: raw texts -> predictions.
        names, texts: of the samples.
        tokens: those of each text that the network sees.
    """
    found = attention_of(model)
    if found is None:
        return {}
    maps, rows = [], []
    for name, text, of_text in zip(names, texts, tokens, strict=True):
        heads = read_by_heads(found(tf.constant([encodable(text)])), len(of_text))
        maps.append((name, of_text, list(heads), np.stack(list(heads.values()))))
        rows += [
            {"file": name, "head": head, "position": step + 1, "token": token, "attention_weight": f"{weight:.6g}"}
            for head, weights in heads.items()
            for step, (token, weight) in enumerate(zip(of_text, weights.tolist(), strict=True))
        ]
    return {"attention.csv": rows_text(rows), "attention.png": token_maps(maps, heading=HEADING, is_signed=False)}
