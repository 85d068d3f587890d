"""How well texts are answered: by tokens, as a whole, and by the phrases that answers share with what was wanted."""

from collections.abc import Sequence
from typing import Any


def metrics(wanted: Sequence[Sequence[int]], said: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Of answers as numbers of tokens, without their ends.

    Returns:
        ``token_accuracy``, the proportion of what was wanted that stands at its place in the answer, the end too; and
        ``exact``, the proportion of answers that are as wanted throughout.
    """
    num_tokens = num_right = num_exact = 0
    for right, own in zip(wanted, said, strict=True):
        with_end, own_with_end = [*right, None], [*own, None]
        num_tokens += len(with_end)
        num_right += sum(a == b for a, b in zip(with_end, own_with_end, strict=False))
        num_exact += list(right) == list(own)
    return {"token_accuracy": num_right / num_tokens, "exact": num_exact / len(wanted)}


def bleu(wanted: Sequence[str], said: Sequence[str], *, by_words: bool) -> float | None:
    """BLEU in [0, 100] (Papineni et al. 2002) of all answers together, by sacrebleu (Post 2018).

    None where nothing that is wanted has four tokens, of which there then are no phrases to find.

    Args:
        by_words: tokens are what stands between white space; else characters are.

    Raises:
        ImportError: sacrebleu is not installed.
    """
    import sacrebleu

    if max(len(text.split() if by_words else text) for text in wanted) < 4:
        return None
    tokenizer = "none" if by_words else "char"
    return float(sacrebleu.corpus_bleu(list(said), [list(wanted)], tokenize=tokenizer, force=True).score)
