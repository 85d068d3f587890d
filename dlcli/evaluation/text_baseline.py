"""The baselines of texts with a class, labels or a number each: linear models of TF-IDF features."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

Array = npt.NDArray[Any]
Unit = Literal["words", "characters"]
MOST_COMPARED = 10_000  # training texts times outputs by which units are compared
MOST_CHARACTERS = 5 * 10**6  # of training texts whose units are compared
PENALTIES = (0.1, 1.0, 10.0)  # of ridge regression


def better_unit(
    texts: Sequence[str], num_outputs: int, error: Callable[[Array, Array, Unit], float], *, usual: Unit
) -> Unit:
    """Whether words or characters are the better features, by an error on every fifth of some training texts.

    Args:
        texts: those of training.
        num_outputs: number of classes or labels; with many, fewer texts are compared.
        error: of a model that is fitted on the texts at the first positions, for those at the second ones.
        usual: what is taken unless the other is better, or if features of characters would take too long.
    """
    most = max(500, MOST_COMPARED // num_outputs)
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), most)).astype(np.int64))
    is_held = np.arange(len(chosen)) % 5 == 4
    if sum(map(len, texts)) > MOST_CHARACTERS or not is_held.any():
        return usual
    units: tuple[Unit, Unit] = ("words", "characters") if usual == "words" else ("characters", "words")
    return min(units, key=lambda unit: error(chosen[~is_held], chosen[is_held], unit))


def tf_idf_predictions(
    train_texts: Sequence[str],
    train_labels: Array,
    texts: Sequence[str],
    *,
    unit: Unit,
) -> Array:
    """Predicts the classes of texts by logistic regression on TF-IDF features (Sparck Jones 1972).

    Args:
        train_texts, train_labels: the training samples, of at least two classes.
        texts: the texts to classify.
        unit: count single words and pairs of neighboring words, or character n-grams within words with n from 1 to 4.

    Returns:
        int ``[n]``.
    """
    vectorizer = _vectorizer(unit)
    model = _classifier().fit(vectorizer.fit_transform(train_texts), train_labels)
    return np.asarray(model.predict(vectorizer.transform(texts)))


def tf_idf_labels(
    train_texts: Sequence[str], applies: Array, groups: Sequence[Sequence[str]], *, unit: Unit
) -> list[Array]:
    """The probabilities of several labels by a logistic regression for each, on TF-IDF features.

    Args:
        train_texts, applies: the training samples ``[n]`` and their labels ``[n, l]``: 1, 0, or NaN for unknown ones,
            which are left out. A label that is the same for all of them keeps that value.
        groups: groups of texts to predict.
        unit: as for :func:`tf_idf_predictions`.

    Returns:
        For each group float64 ``[texts, l]``.
    """
    vectorizer = _vectorizer(unit)
    features = vectorizer.fit_transform(train_texts)
    transformed = [vectorizer.transform(texts) for texts in groups]
    found = [np.empty((len(texts), applies.shape[1])) for texts in groups]
    for column, own in enumerate(applies.T):
        known = np.flatnonzero(~np.isnan(own))
        model = _classifier().fit(features[known], own[known]) if len(set(own[known].tolist())) > 1 else None
        for scores, of_group in zip(found, transformed, strict=True):
            constant = own[known[0]] if len(known) else 0.0
            scores[:, column] = constant if model is None else model.predict_proba(of_group)[:, 1]
    return found


def tf_idf_numbers(train_texts: Sequence[str], numbers: Array, texts: Sequence[str], *, unit: Unit) -> Array:
    """Predicts a number for each text by ridge regression on TF-IDF features, float64 ``[texts]``.

    The strength of the penalty is the best of `PENALTIES` on every tenth training text, with which the regression is
    then fitted again.

    Args:
        train_texts, numbers: the training samples.
        unit: as for :func:`tf_idf_predictions`.
    """
    vectorizer = _vectorizer(unit)
    features = vectorizer.fit_transform(train_texts)
    mean, deviation = numbers.mean(), numbers.std() or 1.0
    scaled = (numbers - mean) / deviation
    is_held = np.arange(len(scaled)) % 10 == 9

    def error(penalty: float) -> float:
        model = _ridge(penalty).fit(features[~is_held], scaled[~is_held])
        return float(np.mean((model.predict(features[is_held]) - scaled[is_held]) ** 2))

    penalty = min(PENALTIES, key=error) if is_held.any() else PENALTIES[1]
    model = _ridge(penalty).fit(features, scaled)
    return np.asarray(model.predict(vectorizer.transform(texts)) * deviation + mean)


def _vectorizer(unit: Unit) -> TfidfVectorizer:
    if unit == "words":
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\S+")
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)


def _classifier() -> LogisticRegression:
    return LogisticRegression(C=10.0, tol=1e-3, max_iter=1000)


def _ridge(penalty: float) -> Ridge:
    return Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4)
