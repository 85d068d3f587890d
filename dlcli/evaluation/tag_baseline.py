"""The baseline of tagging: each word's most frequent tag."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def most_frequent_tags(
    train_words: Sequence[Sequence[str]], train_tags: npt.NDArray[np.integer], words: Sequence[Sequence[str]]
) -> npt.NDArray[np.int64]:
    """Predicts for each word the tag that it has most often in the training split; for one that does not occur there,
    the most frequent tag of all. Of tags that are equally frequent, the one that comes first is taken.

    Args:
        train_words: the words of each training sentence.
        train_tags: of all training words, sentence by sentence ``[n]``.
        words: the words of each sentence to tag.

    Returns:
        int64 ``[words]``, sentence by sentence.
    """
    by_word: dict[str, Counter[int]] = {}
    words_and_tags = zip((word for sentence in train_words for word in sentence), train_tags.tolist(), strict=True)
    for word, tag in words_and_tags:
        by_word.setdefault(word, Counter())[tag] += 1
    most_frequent = {word: counts.most_common(1)[0][0] for word, counts in by_word.items()}
    of_others = Counter(train_tags.tolist()).most_common(1)[0][0]
    return np.array([most_frequent.get(word, of_others) for sentence in words for word in sentence], np.int64)
