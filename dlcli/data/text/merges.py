"""Byte-pair encoding: which pairs of neighboring symbols are joined to subwords, learned from segments of texts."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dlcli.data.text.vocabulary import FIRST, Merge, Vocabulary

Pair = tuple[int, int]


def with_merges(
    alphabet: Vocabulary, segments: Mapping[tuple[int, ...], int], *, max_vocabulary: int, min_count: int
) -> Vocabulary:
    """The vocabulary of subwords: the characters, then what pairs of earlier tokens are joined to.

    The most frequent pair within segments is joined everywhere, again and again (Sennrich et al. 2016, algorithm 1); of
    equally frequent pairs the one with the smallest ids.

    Args:
        alphabet: the characters of the texts.
        segments: the ids of the characters of each different segment, and how often it occurs.
        max_vocabulary: the largest number of tokens; more only if there are more characters.
        min_count: pairs that occur less often are not joined.
    """
    tokens = list(alphabet.tokens)
    id_of = {token: FIRST + i for i, token in enumerate(tokens)}
    merges: list[Merge] = []
    words, counts = [list(word) for word in segments], list(segments.values())
    count_of, places = _pairs(words, counts)
    heap = [(-count, pair) for pair, count in count_of.items()]
    heapq.heapify(heap)
    while heap and len(tokens) < max_vocabulary:
        negative, pair = heapq.heappop(heap)
        if -negative != count_of[pair]:  # it has changed since
            if count_of[pair] >= min_count:
                heapq.heappush(heap, (-count_of[pair], pair))
            continue
        if -negative < min_count:
            break
        text = tokens[pair[0] - FIRST] + tokens[pair[1] - FIRST]
        if text not in id_of:  # else other merges lead to it too
            id_of[text] = FIRST + len(tokens)
            tokens.append(text)
        merges.append((*pair, id_of[text]))
        changed = set()
        for number in places.pop(pair):
            for old in itertools.pairwise(words[number]):
                count_of[old] -= counts[number]
            words[number] = joined(words[number], pair, id_of[text])
            for new in itertools.pairwise(words[number]):
                count_of[new] += counts[number]
                places[new].add(number)
                if id_of[text] in new:
                    changed.add(new)
        for new in changed:
            heapq.heappush(heap, (-count_of[new], new))
    vocabulary = Vocabulary.plain(tokens)
    return replace(vocabulary, alphabet=alphabet, merges=tuple(merges))


def _pairs(words: Sequence[Sequence[int]], counts: Sequence[int]) -> tuple[dict[Pair, int], dict[Pair, set[int]]]:
    """How often each pair of neighbors occurs, and the positions of the words that have it."""
    count_of: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, set[int]] = defaultdict(set)
    for number, (word, count) in enumerate(zip(words, counts, strict=True)):
        for pair in itertools.pairwise(word):
            count_of[pair] += count
            places[pair].add(number)
    return count_of, places


def joined(word: Sequence[int], pair: Pair, symbol: int) -> list[int]:
    """A word in which a symbol takes the place of each occurrence of a pair, from the left."""
    found: list[int] = []
    at = 0
    while at < len(word):
        is_pair = tuple(word[at : at + 2]) == pair
        found.append(symbol if is_pair else word[at])
        at += 2 if is_pair else 1
    return found
