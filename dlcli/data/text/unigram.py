"""The subwords of a unigram language model, which SentencePiece learns from segments of texts."""

import io
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlcli.data.text.vocabulary import FIRST, Vocabulary
from dlcli.errors import InputError

CODE = 0x4E00  # characters are written as the letters from here on, which SentencePiece changes in no way


def with_scores(alphabet: Vocabulary, segments: Mapping[tuple[int, ...], int], *, max_vocabulary: int) -> Vocabulary:
    """The vocabulary of subwords: the characters, then further pieces, the most probable first (Kudo 2018, section
    3.2). They are learned by one thread, so that the same segments have the same pieces.

    Args:
        alphabet: the characters of the texts.
        segments: the ids of the characters of each different segment, and how often it occurs.
        max_vocabulary: the largest number of tokens; more only if there are more characters.

    Raises:
        InputError: SentencePiece is not installed.
    """
    letters = {chr(CODE + FIRST + i): token for i, token in enumerate(alphabet.tokens)}
    score_of = _learned(segments, "".join(letters), max_vocabulary) if max_vocabulary > len(letters) else {}
    least = min(score_of.values(), default=-math.log(max(1, len(letters))))
    pieces = [*letters, *(piece for piece in score_of if piece not in letters)]
    tokens = ["".join(letters[letter] for letter in piece) for piece in pieces]
    scores = tuple(score_of.get(piece, least) for piece in pieces)
    return replace(Vocabulary.plain(tokens), alphabet=alphabet, scores=scores)


def _learned(segments: Mapping[tuple[int, ...], int], letters: str, max_vocabulary: int) -> dict[str, float]:
    """The pieces and their scores, the most probable first."""
    try:
        import sentencepiece
    except ImportError:
        raise InputError(
            "text.tokenizer: unigram needs the package sentencepiece. Install it with pip install 'dlcli[unigram]', or "
            "set bpe."
        ) from None
    lines = [f"{''.join(chr(CODE + id_) for id_ in word)}\t{count}\n" for word, count in segments.items() if word]
    if not lines:
        return {}
    learned = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "segments.tsv"
        file.write_text("".join(lines), encoding="utf-8")
        _train(
            sentencepiece.SentencePieceTrainer,
            input=str(file),
            input_format="tsv",
            model_writer=learned,
            model_type="unigram",
            vocab_size=max_vocabulary + 1,  # with the unknown piece
            hard_vocab_limit=False,
            required_chars=letters,
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    found = sentencepiece.SentencePieceProcessor(model_proto=learned.getvalue())
    return {found.id_to_piece(i): float(found.get_score(i)) for i in range(1, found.get_piece_size())}


def _train(trainer: Any, **settings: Any) -> None:
    """Run SentencePiece.

    Raises:
        InputError: it can learn nothing from the texts.
    """
    try:
        trainer.train(**settings)
    except RuntimeError as reason:
        raise InputError(
            f"text.tokenizer: SentencePiece cannot learn a unigram model from these texts ({reason}). Set bpe."
        ) from None
