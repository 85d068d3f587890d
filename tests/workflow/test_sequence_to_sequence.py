"""Sequence to sequence from end to end: training, exact resume, evaluation, beam search and refused input."""

import itertools
import json
import math
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from recurrent_norms import assert_gradients_reach_back  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.data.text.vocabulary import FIRST, UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.sequence_to_sequence.decoding import Hypothesis, TextDecoder, load_text_decoder

SUMS = """\
task: sequence_to_sequence
data: {kind: addition, digits: 1, num_samples: 25}
text: {unit: characters, embedding: 8, max_length: 6}
model: {kind: encoder_decoder, cell: gru, units: 16, attention: luong, dropout: 0.1}
train:
  epochs: 4
  batch_size: 4
  optimizer: {kind: adam, learning_rate: 0.02}
  teacher_forcing: {first: 1, last: 0.5}
  checkpoint: {steps: 3}
"""
PHRASES = """\
task: sequence_to_sequence
data: {kind: tsv, path: phrases.tsv}
text: {min_count: 1, embedding: 16}
model: {kind: encoder_decoder, units: 24}
train: {epochs: 25, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.02}}
"""
WORDS = {"big": "grand", "red": "rouge", "cat": "chat", "dog": "chien", "car": "auto", "house": "maison"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed runs sums and phrases."""
    folder: Path = tmp_path_factory.mktemp("pairs")
    pairs = [pair for num in (1, 2, 3) for pair in itertools.permutations(WORDS, num)]
    lines = [f"{' '.join(words)}!\t{' '.join(WORDS[word] for word in reversed(words))}" for words in pairs]
    (folder / "phrases.tsv").write_text("\n".join(lines))
    for name, recipe in (("sums", SUMS), ("phrases", PHRASES)):
        (folder / f"{name}.yaml").write_text(recipe)
        processes.run("train", f"{name}.yaml", folder=folder).expect(0)
    return folder


QUIET = Console(quiet=True)


def text_decoder_of(folder: Path, name: str) -> TextDecoder:
    run_dir = RunDir(folder / "runs" / name)
    return load_text_decoder(run_dir, load(run_dir.config).recipe, Console(quiet=True))  # type: ignore[arg-type]


def test_it_learns_and_plots_its_attention(made: Path) -> None:
    final = read_json(made / "runs" / "phrases" / "run.json")["final"]
    assert final["test_exact"] > 0.9
    assert final["test_token_accuracy"] >= final["test_exact"]
    assert "test_bleu" not in final  # nothing has four words
    assert (made / "runs" / "phrases" / "plots" / "attention.png").exists()
    rows = read_csv(made / "runs" / "phrases" / "evaluation" / "test" / "predictions.csv")
    assert np.mean([int(row["exact"]) for row in rows]) == pytest.approx(final["test_exact"])
    assert all((row["target"] == row["predicted"]) == (row["exact"] == "1") for row in rows)


def test_attention_is_a_distribution_over_the_input(made: Path) -> None:
    decoder = text_decoder_of(made, "phrases")
    (hypothesis,) = decoder.decode(["big red dog"], beam=1, batch_size=4, console=Console(quiet=True))
    assert decoder.text_of(hypothesis.ids) == "chien rouge grand"
    assert decoder.source_tokens("Big RED, dog zebra") == ["big", "red", "dog", "?"]
    assert hypothesis.attention is not None
    assert hypothesis.attention.shape == (4, 3)
    np.testing.assert_allclose(hypothesis.attention.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["sums", "phrases"])
def test_beam_search_of_width_one_equals_the_saved_model(made: Path, name: str) -> None:
    decoder = text_decoder_of(made, name)
    texts = ["1+2", "7+7", "3", ""] if name == "sums" else ["red cat", "house", "big big big", "", "what"]
    hypotheses = decoder.decode(texts, beam=1, batch_size=2, console=Console(quiet=True))
    model = keras.saving.load_model(made / "runs" / name / "model.keras", safe_mode=True)
    spelled = np.asarray(model(tf.constant(texts))).astype(str)
    for hypothesis, row in zip(hypotheses, spelled, strict=True):
        assert [decoder.target[id_ - 2] for id_ in hypothesis.ids] == [word for word in row if word]


def test_unknown_tokens_are_copied_from_where_attention_is_largest(made: Path) -> None:
    """The network is changed to generate the unknown token in place of "rouge"."""
    decoder = text_decoder_of(made, "phrases")
    rouge, kernel, bias = decoder.target.index("rouge") + FIRST, *decoder.decoder.cell.logits.get_weights()
    kernel[:, UNKNOWN], bias[UNKNOWN], bias[rouge] = kernel[:, rouge], bias[rouge], -100
    decoder.decoder.cell.logits.set_weights([kernel, bias])
    table = decoder.decoder.cell.embedding.embeddings
    table.assign(np.where(np.arange(table.shape[0])[:, None] == UNKNOWN, table[rouge], table))

    def decoded(copy_unknown: bool) -> Hypothesis:
        texts = ["Big RED, dog!", ""]
        return decoder.decode(texts, beam=1, batch_size=4, copy_unknown=copy_unknown, console=QUIET)[0]

    copied, plain = decoded(True), decoded(False)
    assert decoder.text_of(copied.ids) == "chien [UNK] grand"
    assert copied.attention is not None
    source = ["big", "red", "dog"][int(copied.attention[1].argmax())]
    assert decoder.text_of(copied.ids, copied.copied) == f"chien {source} grand"
    assert UNKNOWN not in plain.ids
    assert plain.copied == ()
    decoder.decoder.cell.attention = "none"
    with pytest.raises(InputError, match=r"^--copy-unknown: needs a model with attention, "):
        decoded(True)


@pytest.mark.slow
def test_evaluating_with_copied_words(folder: Path) -> None:
    """Every word of the training texts is known, so that nothing is copied, and the results are the same."""
    (folder / "new.tsv").write_text("red cat\tchat rouge\ncar\tnone such\n")
    texts = ["evaluate", "phrases", "--data", "new.tsv", "--json"]
    plain, copied = (json.loads(run(*texts, *more, folder=folder).stdout) for more in ([], ["--copy-unknown"]))
    assert copied["folder"].endswith("evaluation/new-all-copied")
    assert (copied["copied"], copied["exact"]) == (0, plain["exact"])


@pytest.mark.slow
def test_a_wider_beam_is_no_less_likely(made: Path) -> None:
    decoder = text_decoder_of(made, "sums")
    texts = [f"{a}+{b}" for a in range(10) for b in range(10)]
    means = []
    for beam in (1, 8):
        hypotheses = decoder.decode(texts, beam=beam, batch_size=32, console=Console(quiet=True))
        means.append(np.mean([found.log_probability / min(6, len(found.ids) + 1) for found in hypotheses]))
    assert means[1] >= means[0] - 1e-6


@pytest.mark.parametrize("name", ["sums", "phrases"])
def test_evaluating_validation_gives_the_loss_of_training(folder: Path, name: str) -> None:
    metrics = json.loads(run("evaluate", name, "--split", "validation", "--json", folder=folder).stdout)
    best = read_json(folder / "runs" / name / "run.json")["best"]["value"]
    assert metrics["loss"] == pytest.approx(best, rel=1e-4)


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    kill = processes.KillAtCheckpoint(3)
    processes.run("train", "sums.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "sums", folder / "runs" / "killed")


def test_predicting_texts_and_files_of_lines(folder: Path) -> None:
    (folder / "new.txt").write_text("red cat\nBIG house!\n")
    results = json.loads(run("predict", "phrases", "new.txt", "--text", "car", "--json", folder=folder).stdout)
    assert [row["predicted"] for row in results["predictions"]] == ["auto", "chat rouge", "maison grand"]
    assert all(-5 < row["log_probability"] <= 0 for row in results["predictions"])
    assert_predicts(folder / "runs" / "phrases", ["car", "red cat", "BIG house!"], results["predictions"])
    run("predict", "phrases", "new.txt", "--beam", 3, "--output", "out.csv", folder=folder)
    assert [row["predicted"] for row in read_csv(folder / "out.csv")] == ["chat rouge", "maison grand"]


def test_evaluating_other_pairs_with_a_beam(folder: Path) -> None:
    (folder / "new.tsv").write_text("red cat\tchat rouge\nbig dog\tchien grand\ncar\tnone such\n")
    metrics = json.loads(run("evaluate", "phrases", "--data", "new.tsv", "--beam", 4, "--json", folder=folder).stdout)
    assert metrics["exact"] == pytest.approx(2 / 3)
    assert metrics["beam"] == 4
    assert metrics["folder"].endswith("evaluation/new-all-beam4")
    assert metrics["split"] == "new-all"
    assert math.isfinite(metrics["loss"])


@pytest.mark.slow
def test_explanations_of_generated_tokens(folder: Path) -> None:
    run("explain", "phrases", "--text", "big red!", "--text", "dog car", "--check", "--json", folder=folder)
    made = folder / "runs" / "phrases" / "explanations" / "integrated"
    decoder = text_decoder_of(folder, "phrases")
    texts = [
        decoder.text_of(h.ids) for h in decoder.decode(["big red!", "dog car"], beam=1, batch_size=2, console=QUIET)
    ]
    rows = read_csv(made / "explanations.csv")
    assert [row["class"] for row in rows] == [*texts[0].split(), "[end]", *texts[1].split(), "[end]"]
    assert all(float(row["completeness_error"]) <= 0.01 or row["note"] for row in rows)
    assert sorted(path.name for path in made.iterdir()) == [
        *("attention.png", "check.json", "explanation.json", "explanations.csv", "maps.png", "tokens.csv")
    ]
    check = read_json(made / "check.json")
    assert list(check["insertion"]) == ["integrated", "random", "diagonal"]
    assert check["insertion"]["integrated"]["mean"] > check["insertion"]["random"]["mean"]
    tokens = read_csv(made / "tokens.csv")
    assert [row["token"] for row in tokens[:2]] == ["big", "red"]
    assert sum(float(row["attention_weight"]) for row in tokens[:2]) == pytest.approx(1, rel=1e-3)
    translated = {(row["file"].rpartition(": ")[2], row["token"]): float(row["integrated"]) for row in tokens}
    assert translated["rouge", "red"] > translated["rouge", "big"]
    assert_gradients_reach_back(folder, "phrases")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "phrases.yaml", "--data", "absent.tsv"], "data.path: no such file or folder"),
        (["train", "sums.yaml", "--set", "data.num_samples=28"], "data.num_samples: must be at most 27, half of"),
        (["train", "sums.yaml", "--set", "train.teacher_forcing.first=1.5"], "a number in [0, 1]"),
        (["train", "sums.yaml", "--set", "model.attention=all"], "model.attention: "),
        (["train", "phrases.yaml", "--set", "text.min_count=1000"], "the vocabulary must have at least two words"),
        (
            ["evaluate", "phrases", "--data", "absent.tsv"],
            "absent.tsv: expected a recipe or a file of pairs.",
        ),
        (["evaluate", "phrases", "--data", "sums.yaml", "--split", "train", "--beam", "0"], "--beam"),
        (["generate", "phrases"], "dlcli generate does not support task: sequence_to_sequence, only language_model."),
        (["predict", "phrases", "absent.txt"], "absent.txt: no such file"),
    ],
)
def test_refused_input(made: Path, arguments: list[object], message: str) -> None:
    finished = run(*arguments, folder=made, status=2)
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_corrupt_vocabulary_is_refused(folder: Path) -> None:
    path = folder / "runs" / "phrases" / "target_vocabulary.txt"
    path.write_text(path.read_text() + '"more"\n')
    finished = run("predict", "phrases", "--text", "cat", folder=folder, status=2)
    assert "target_vocabulary.txt: must have the 6 tokens of the model's vocabulary. Received 7." in finished.stderr
    path.write_text("\n".join(reversed(path.read_text().splitlines()[:6])) + "\n")
    finished = run("predict", "phrases", "--text", "cat", folder=folder, status=2)
    assert "target_vocabulary.txt:1: is not what this run saved" in finished.stderr


def test_truncated_and_unknown_words_are_reported_and_pairs_accepted(folder: Path) -> None:
    long = "big red cat " * 50
    outcome = run("predict", "phrases", "--text", long, "--text", "zebra", "--text", "cat", folder=folder)
    assert "1 of 3 texts are longer than text.max_length, 100 words, and truncated" in outcome.stderr
    assert "1 of 3 texts have words that are not in the model's vocabulary" in outcome.stderr
    (folder / "given.tsv").write_text("red cat\tchat rouge\ncar\tauto\n")
    found = json.loads(run("predict", "phrases", "given.tsv", "--json", folder=folder).stdout)["predictions"]
    assert [(row["text"], row["predicted"]) for row in found] == [("red cat", "chat rouge"), ("car", "auto")]


@pytest.mark.slow  # the same verbs on other sequence tasks are quick
def test_summary_dry_run_and_overfit(made: Path) -> None:
    table = run("summary", "phrases", folder=made).stdout
    assert "decoder" in table
    assert "CLONE" not in table
    assert "x.given [4, " in run("train", "sums.yaml", "--dry-run", folder=made).stdout
    cut = run("train", "phrases.yaml", "--dry-run", "--set", "text.max_length=1", folder=made).stderr
    assert "source texts are longer than text.max_length, 1 words, and truncated" in cut
    assert "target texts are longer than" in cut
    small = ("--set", "model.dropout=0")
    assert "overfitted: loss" in run("train", "sums.yaml", "--overfit", 1, *small, folder=made).stdout


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "phrases", tmp_path)
