"""The baseline of text classification: a linear model of TF-IDF features."""

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
    """Predicts the classes of texts by logistic regression on TF-IDF features (Sparck Jones 1972).

    Args:
        train_texts, train_labels: the training samples, of at least two classes.
        texts: the texts to classify.
        unit: count single words and pairs of neighboring words, or character n-grams within words with n from 1 to 4.

    Returns:
        int ``[n]``.
    """
    vectorizer = (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\S+")
        if unit == "words"
        else TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    )
    features = vectorizer.fit_transform(train_texts)
    model = LogisticRegression(C=10.0, tol=1e-3, max_iter=1000).fit(features, train_labels)
    return np.asarray(model.predict(vectorizer.transform(texts)))
