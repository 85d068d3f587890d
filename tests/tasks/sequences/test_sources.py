"""Samples that the ``data`` section of a sequence task leaves out, by their names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.recipe.sections.series_data import Adding, RegressionCsv, SequenceCsv, SequenceNpz, SequenceTs
from dlcli.recipe.tasks.sequence_to_sequence import Addition, PairsCsv, PairsTsv
from dlcli.recipe.tasks.tagging import Columns, Conllu, TaggedJson
from dlcli.tasks.sequence_to_sequence.sources import read_pairs
from dlcli.tasks.sequences.sources import read_sequences

NUM = 12  # samples of each file


def write_files(folder: Path) -> None:
    steps = [f"s{i},{i % 2},{i},{i + step}" for i in range(NUM) for step in range(3)]
    (folder / "long.csv").write_text("\n".join(["sequence,label,target,value", *steps]) + "\n")
    lines = [f"{i},{i + 1},{i + 2}:{i % 2}" for i in range(NUM)]
    (folder / "a.ts").write_text("\n".join(["@classLabel true 0 1", "@data", *lines]) + "\n")
    words = [f"1\tw{i}\t_\t{'NOUN' if i % 2 else 'VERB'}\t_\t_\t0\t_\t_\t_\n" for i in range(NUM)]
    (folder / "a.conllu").write_text("\n".join(words) + "\n")
    (folder / "a.tags").write_text("\n".join(f"w{i} {'NV'[i % 2]}\n" for i in range(NUM)) + "\n")
    lines = [json.dumps({"words": [f"w{i}"], "tags": ["NV"[i % 2]]}) for i in range(NUM)]
    (folder / "a.jsonl").write_text("\n".join(f"{line}\n" for line in lines))
    (folder / "pairs.txt").write_text("".join(f"a{i}\tb{i}\n" for i in range(NUM)))
    (folder / "pairs.csv").write_text("source,target\n" + "".join(f"a{i},b{i}\n" for i in range(NUM)))
    x = np.random.default_rng(0).normal(size=(NUM, 4, 1)).astype(np.float32)
    np.savez(folder / "a.npz", x_train=x, y_train=np.arange(NUM) % 2)


def names(dataset: SequenceDataset) -> set[str]:
    return {name for samples in dataset.splits.values() for name in samples.names}


def of_class(section: Any) -> SequenceDataset:
    return read_sequences(section, goal="class")


def of_value(section: Any) -> SequenceDataset:
    return read_sequences(section, goal="value")


@pytest.mark.parametrize(
    ("kind", "file", "read", "excluded"),
    [
        (lambda path: SequenceNpz(kind="npz", path=path), "a.npz", of_class, {"train/0", "train/7"}),
        (lambda path: SequenceCsv(kind="csv", path=path, features=("value",)), "long.csv", of_class, {"s0", "s7"}),
        (lambda path: RegressionCsv(kind="csv", path=path, features=("value",)), "long.csv", of_value, {"s0", "s7"}),
        (lambda path: SequenceTs(kind="ts", path=path), "a.ts", of_class, {"a.ts:3", "a.ts:14"}),
        (lambda path: Conllu(kind="conllu", path=path), "a.conllu", of_class, {"a.conllu:1", "a.conllu:3"}),
        (lambda path: Columns(kind="columns", path=path), "a.tags", of_class, {"a.tags:1", "a.tags:3"}),
        (lambda path: TaggedJson(kind="jsonl", path=path), "a.jsonl", of_class, {"a.jsonl:1", "a.jsonl:3"}),
        (lambda path: Adding(kind="adding", num_samples=NUM, length=4), "", of_value, {"adding/0", "adding/7"}),
        (lambda path: PairsTsv(kind="tsv", path=path), "pairs.txt", read_pairs, {"pairs.txt:1", "pairs.txt:12"}),
        (lambda path: PairsCsv(kind="csv", path=path), "pairs.csv", read_pairs, {"pairs.csv:2", "pairs.csv:13"}),
        (lambda path: Addition(kind="addition", num_samples=20, digits=1), "", read_pairs, set()),
    ],
)
def test_samples_are_excluded_by_name(
    tmp_path: Path,
    kind: Callable[[str], Any],
    file: str,
    read: Callable[[Any], SequenceDataset],
    excluded: set[str],
) -> None:
    write_files(tmp_path)
    section = kind(str(tmp_path / file))
    every = read(section)
    excluded = excluded or set(list(every.splits["train"].names)[:2])
    dataset = read(section.model_copy(update={"exclude": (*excluded, "absent")}))
    assert excluded <= names(every)
    assert names(dataset) == names(every) - excluded
    assert {item.name: item.reason for item in dataset.left_out} == {name: f"excluded by '{name}'" for name in excluded}
    assert "data.exclude: 'absent' leaves out nothing." in " ".join(map(str, dataset.warnings))
