"""Metrics of sequence-to-sequence models: token accuracy, exact matches, BLEU and chrF."""

from collections.abc import Sequence
from typing import Any

MAX_ORDER = 4  # of the n-grams of BLEU


def metrics(references: Sequence[Sequence[int | str]], predictions: Sequence[Sequence[int | str]]) -> dict[str, Any]:
    """Token accuracy and exact matches.

    Args:
        references, predictions: the tokens of each output sequence, as ids or text, without end tokens.

    Returns:
        ``token_accuracy``, the proportion of reference tokens, end token included, that the prediction has at the same
        position; and ``exact``, the proportion of predictions that equal their reference.
    """
    num_tokens = num_correct = num_exact = 0
    for reference, prediction in zip(references, predictions, strict=True):
        with_end, predicted_with_end = [*reference, None], [*prediction, None]
        num_tokens += len(with_end)
        num_correct += sum(a == b for a, b in zip(with_end, predicted_with_end, strict=False))
        num_exact += list(reference) == list(prediction)
    return {"token_accuracy": num_correct / num_tokens, "exact": num_exact / len(references)}


def translation_scores(
    sources: Sequence[str], targets: Sequence[str], predictions: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Corpus BLEU (Papineni et al. 2002) and chrF2 (Popović 2015) in [0, 100], computed by sacrebleu (Post 2018).

    Texts are compared as they are in the data, upper case and punctuation included; BLEU splits them into words by
    sacrebleu's tokenizer 13a. A source that occurs several times is counted once, and all its targets are references.

    Args:
        sources, targets: the raw texts of each pair.
        predictions: the generated text of each.

    Returns:
        ``bleu``, unless no target has four words, so that there are no 4-grams to match, and ``chrf``; and the
        signature of each, which says how it was computed.

    Raises:
        ImportError: sacrebleu is not installed.
    """
    from sacrebleu.metrics import BLEU, CHRF

    of_source: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        of_source.setdefault(source, []).append(place)
    generated = [predictions[places[0]] for places in of_source.values()]
    most = max(map(len, of_source.values()))
    streams = [
        [targets[places[number]] if number < len(places) else None for places in of_source.values()]
        for number in range(most)
    ]
    scores, signatures = {}, {}
    for name, metric in (("bleu", BLEU(tokenize="13a", force=True)), ("chrf", CHRF())):
        found = metric.corpus_score(generated, streams)
        if name == "bleu" and max(len(metric.tokenizer(text).split()) for text in targets) < MAX_ORDER:
            continue
        scores[name], signatures[name] = float(found.score), str(metric.get_signature())
    return scores, signatures
