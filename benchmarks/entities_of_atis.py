"""Writes sentences with the tags of entities, derived from the annotation of UD English Atis.

    python benchmarks/entities_of_atis.py en_atis-ud-train.conllu train.txt [--most 400]

An entity is a run of proper nouns that depend on each other: ORIGIN if a word of it has the preposition "from",
DESTINATION if "to", else NAME; or a run of numbers (NUMBER). Tags are BIO, in columns.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

Word = list[str]  # the columns of CoNLL-U: number, form, lemma, UPOS, XPOS, features, head, relation, …


def sentences(path: Path, most: int) -> Iterator[list[Word]]:
    """The words of the first sentences."""
    for block in path.read_text(encoding="utf-8").strip().split("\n\n")[:most]:
        rows = [line.split("\t") for line in block.split("\n") if not line.startswith("#")]
        yield [row for row in rows if row[0].isdigit()]


def is_name(word: Word) -> bool:
    return word[3] == "PROPN"


def is_number(word: Word) -> bool:
    return not is_name(word) and (word[3] == "NUM" or "NumType" in word[5])


def end_of(words: list[Word], start: int) -> int:
    """The position after the entity that starts with a word."""
    end = start + 1
    if is_number(words[start]):
        while end < len(words) and is_number(words[end]):
            end += 1
        return end
    while end < len(words) and is_name(words[end]):
        depends = start + 1 <= int(words[end][6]) <= end
        if not depends and not any(int(word[6]) == end + 1 for word in words[start:end]):
            break
        end += 1
    return end


def tags_of(words: list[Word]) -> list[str]:
    tags, start = ["O"] * len(words), 0
    while start < len(words):
        if not is_name(words[start]) and not is_number(words[start]):
            start += 1
            continue
        end = end_of(words, start)
        numbers = {word[0] for word in words[start:end]}
        cases = {word[2] for word in words if word[6] in numbers and word[7] == "case"}
        kind = "ORIGIN" if "from" in cases else "DESTINATION" if "to" in cases else "NAME"
        kind = kind if is_name(words[start]) else "NUMBER"
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        start = end
    return tags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--most", type=int, default=10**9, help="the largest number of sentences")
    given = parser.parse_args()
    with open(given.output, "w", encoding="utf-8") as file:
        for words in sentences(given.source, given.most):
            rows = zip(words, tags_of(words), strict=True)
            file.write("".join(f"{word[1]}\t{tag}\n" for word, tag in rows) + "\n")


if __name__ == "__main__":
    main()
