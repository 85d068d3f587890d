"""What a classifier of texts has to be compared with: words that are counted and weighed, and a linear model."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

Array = npt.NDArray[Any]


def tf_idf_predictions(
    train_texts: Sequence[str],
    train_labels: Array,
    texts: Sequence[str],
    *,
    unit: Literal["words", "characters"],
) -> Array:
    """The classes of texts by logistic regression on TF-IDF (Sparck Jones 1972): int ``[n]``.

    Counted are words and pairs of neighbors, or one to four neighboring characters within words.

    Args:
        train_texts, train_labels: what it is fitted on; at least two classes.
        texts: what it then sees.
    """
    vectorizer = (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\S+")
        if unit == "words"
        else TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    )
    features = vectorizer.fit_transform(train_texts)
    model = LogisticRegression(C=10.0, tol=1e-3, max_iter=1000).fit(features, train_labels)
    return np.asarray(model.predict(vectorizer.transform(texts)))
