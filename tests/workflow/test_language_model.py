"""Language models from end to end: training, exact resume, evaluation, generation and refused input."""

import json
import math
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from predictors import predictor_of  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from recurrent_norms import assert_gradients_reach_back  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.generator import Generator, load_generator
from dlcli.tasks.language_model.predictor import LENGTH

PROSE = """\
task: language_model
data: {kind: text, path: prose.txt}
text: {embedding: 8, max_length: 12}
model: {kind: recurrent, cell: lstm, units: 24, layers: 2, dropout: 0.1, layer_norm: true, stateful: true}
train: {epochs: 4, batch_size: 8, optimizer: {kind: adam, learning_rate: 0.02}, checkpoint: {steps: 5}}
"""
NAMES = """\
task: language_model
data: {kind: lines, path: names}
text: {embedding: 8, max_length: 10}
model: {kind: recurrent, cell: gru, units: 24}
train: {epochs: 12, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.03}}
"""
WORDS = """\
task: language_model
data: {kind: text, path: prose.txt}
text: {unit: words, max_length: 10, min_count: 1}
model: {kind: transformer, units: 16, heads: 2, layers: 1, causal: true, dropout: 0}
train: {epochs: 2, batch_size: 8, optimizer: {kind: adam, learning_rate: 0.01}}
"""


def prose(num: int = 500) -> str:
    rng = np.random.default_rng(0)
    return "".join(f"the {rng.choice(['cat', 'dog'])} {rng.choice(['sat', 'ran'])}.\n" for _ in range(num // 13))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed runs prose, names and words."""
    folder: Path = tmp_path_factory.mktemp("language")
    (folder / "prose.txt").write_text(prose(2000))
    (folder / "names").mkdir()
    rng = np.random.default_rng(1)
    for label, letters in (("North", "abc"), ("South", "xyz")):
        names = {"".join(rng.choice(list(letters), rng.integers(2, 6))) for _ in range(120)}
        (folder / "names" / f"{label}.txt").write_text("\n".join(sorted(names)))
    for name, recipe in (("prose", PROSE), ("names", NAMES), ("words", WORDS)):
        (folder / f"{name}.yaml").write_text(recipe)
        run("train", f"{name}.yaml", folder=folder)
    return folder


def generator_of(folder: Path, name: str) -> Generator:
    run_dir = RunDir(folder / "runs" / name)
    recipe = load(run_dir.config).recipe
    return load_generator(run_dir, recipe, Console(quiet=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["prose", "names", "words"])
def test_it_beats_the_unigram_baseline(made: Path, name: str) -> None:
    folder = made / "runs" / name
    final = read_json(folder / "run.json")["final"]
    assert final["test_loss"] < final["test_unigram_loss"]
    assert math.log(final["test_ngram_perplexity"]) == pytest.approx(final["test_ngram_loss"])
    assert final["test_ngram_loss"] < final["test_unigram_loss"]
    assert final["test_bits"] == pytest.approx(final["test_loss"] / math.log(2))
    assert final["test_perplexity"] == pytest.approx(math.exp(final["test_loss"]))
    assert ("test_bits_per_character" in final) == (name == "words")
    assert (folder / "evaluation" / "test" / "sample.txt").read_text().strip()


def test_generated_text_depends_on_the_class(made: Path) -> None:
    said = {}
    for label in ("North", "South"):
        outcome = run("generate", "names", "--class", label, "--samples", 30, "--json", folder=made)
        said[label] = "".join(sample["text"] for sample in json.loads(outcome.stdout)["samples"])
    share = {label: np.mean([c in "abc" for c in text]) for label, text in said.items()}
    assert share["North"] > 0.9
    assert share["South"] < 0.1


def test_a_predictor_continues_texts_as_generate_does(made: Path) -> None:
    outcome = run("generate", "prose", "--prompt", "the cat ", "--length", LENGTH, "--json", folder=made)
    predictor = predictor_of(made / "runs" / "prose")
    read = predictor.read("the cat ")
    for _ in range(2):  # the second text starts anew
        assert predictor.predict([read]) == json.loads(outcome.stdout)["samples"]
    predictor = predictor_of(made / "runs" / "names")
    (row,) = predictor.predict([predictor.read({"text": "a", "class": "North"})])
    prompt = ("--prompt", "a", "--class", "North", "--length", LENGTH)
    assert [row] == json.loads(run("generate", "names", *prompt, "--json", folder=made).stdout)["samples"]
    for sample, received in (("a", "no class"), ({"text": "a", "class": "East"}, "'East'")):
        with pytest.raises(InputError, match=f"one of North, South. Received {received}."):
            predictor.read(sample)


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
@pytest.mark.parametrize("name", ["prose", "names"])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, name: str) -> None:
    kill = processes.KillAtCheckpoint(3 if name == "prose" else 2)  # of the first, in the middle of an epoch
    processes.run("train", f"{name}.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / name, folder / "runs" / "killed")


@pytest.mark.parametrize("name", ["prose", "names", "words"])
def test_evaluating_validation_gives_the_loss_of_training(folder: Path, name: str) -> None:
    metrics = json.loads(run("evaluate", name, "--split", "validation", "--json", folder=folder).stdout)
    best = read_json(folder / "runs" / name / "run.json")["best"]["value"]
    assert metrics["loss"] == pytest.approx(best, rel=1e-4)


def test_the_saved_model_takes_raw_text_and_predicts_the_next_token(made: Path) -> None:
    model = keras.saving.load_model(made / "runs" / "prose" / "model.keras", safe_mode=True)
    tokens = [json.loads(line) for line in (made / "runs" / "prose" / "vocabulary.txt").read_text().splitlines()]
    probabilities = np.asarray(model(tf.constant(["the cat sat"])))
    assert probabilities.shape[1:] == (12, 2 + len(tokens))  # eleven, and one after the end that does not count
    assert tokens[int(probabilities[0, 2].argmax()) - 2] == " "
    of_class = keras.saving.load_model(made / "runs" / "names" / "model.keras", safe_mode=True)
    both = of_class({"text": tf.constant(["ab", ""]), "class": tf.constant(["North", "South"])})
    assert both.shape[:2] == (2, 3)


def test_generation_with_kept_state_equals_the_network_on_the_whole_text(made: Path) -> None:
    """Generating with kept state equals running the network on the whole text."""
    for name in ("prose", "words"):
        generator = generator_of(made, name)
        prompt = generator.encode("the cat ")
        generated = generator.generate([prompt], length=5, temperature=0, top_k=None, seed=0)[0]
        ids = list(prompt)
        network = generator.network()
        for id_ in generated:
            logits = np.array(network(np.array([ids], np.int32)))[0, -1]
            logits[[0, UNKNOWN]] = -np.inf
            assert id_ == int(logits.argmax())
            ids.append(id_)


def test_the_seed_determines_samples_and_samples_are_independent(made: Path) -> None:
    first = run("generate", "prose", "--length", 40, "--prompt", "the ", folder=made).stdout
    assert run("generate", "prose", "--length", 40, "--prompt", "the ", folder=made).stdout == first
    other = run("generate", "prose", "--length", 40, "--prompt", "the ", "--seed", 1, folder=made).stdout
    assert other != first
    assert first.startswith("the ")
    several = run("generate", "prose", "--length", 40, "--prompt", "the ", "--samples", 3, "--json", folder=made)
    texts = [sample["text"] for sample in json.loads(several.stdout)["samples"]]
    assert texts[0] + "\n" == first
    assert len(set(texts)) == 3
    assert len(texts[0]) == 44


@pytest.mark.slow
def test_evaluating_other_text(folder: Path) -> None:
    (folder / "new.txt").write_text("the dog ran.\n" * 20)
    metrics = json.loads(run("evaluate", "prose", "--data", "new.txt", "--json", folder=folder).stdout)
    assert metrics["split"] == "new-all"
    assert metrics["tokens"] == 13 * 20 - 1
    (folder / "new.txt").write_text("猫犬" * 20)
    outcome = run("evaluate", "prose", "--data", "new.txt", folder=folder)
    assert "100.0% of the characters are unknown: all count as the same token" in outcome.stderr
    shutil.copytree(folder / "names", folder / "more")
    (folder / "more" / "North.txt").write_text((folder / "names" / "North.txt").read_text() + "\nabcabcabc")
    metrics = json.loads(run("evaluate", "names", "--data", "more", "--json", folder=folder).stdout)
    assert metrics["trained_on"] > 100
    rows = read_csv(folder / "runs" / "names" / "evaluation" / "more-all" / "predictions.csv")
    nats = sum(float(row["loss"]) * int(row["tokens"]) for row in rows)
    assert metrics["loss"] == pytest.approx(nats / metrics["tokens"], rel=1e-4)
    assert metrics["tokens"] == sum(len(row["text"]) + 1 for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target"), [("names", "label"), ("prose", "predicted"), ("words", "label")])
def test_explanations_of_next_tokens_are_causal(folder: Path, name: str, target: str) -> None:
    run("explain", name, "--limit", 2, "--class", target, "--check", folder=folder)
    made = folder / "runs" / name / "explanations" / "integrated"
    check = read_json(made / "check.json")
    assert list(check["insertion"]) == ["integrated", "random", "recent"]
    assert check["texts"] in (1, 2)  # some texts have no token
    rows, tokens = read_csv(made / "explanations.csv"), read_csv(made / "tokens.csv")
    assert all(float(row["completeness_error"]) <= 0.01 or row["note"] for row in rows)
    position = {f"{row['file']}, output {row['position']}: {row['class']}": int(row["position"]) for row in rows}
    later = [float(row["integrated"]) for row in tokens if int(row["position"]) > position[row["file"]]]
    assert not any(later), "a later token cannot be a reason"
    assert any(float(row["integrated"]) for row in tokens)
    if name != "words":  # a Transformer
        assert_gradients_reach_back(folder, name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "names", "--text", "a"], "--text: the texts of runs/names have classes"),
        (["explain", "prose", "x.txt"], "x.txt: a language model is explained by --text, or by texts of a split."),
        (["explain", "words", "--class", "qqq"], "--class qqq: not a token of the vocabulary."),
        (["generate", "names"], "--class: the texts of runs/names have classes: choose one of North, South"),
        (["generate", "names", "--class", "Nort"], "Received 'Nort'."),
        (["generate", "prose", "--class", "North"], "have no classes. Omit --class."),
        (["predict", "prose", "--text", "a"], "dlcli predict does not support task: language_model"),
        (["evaluate", "prose", "--data", "names"], "expected a text file, as in training"),
        (["evaluate", "names", "--data", "prose.txt"], "expected a folder with a file for each class"),
        (["evaluate", "prose", "--data", "absent.txt"], "absent.txt: no such file or folder."),
        (["train", "prose.yaml", "--data", "absent.txt"], "data.path: no such file or folder"),
        (["train", "prose.yaml", "--set", "train.batch_size=200"], "must have more than 200 characters"),
        (["train", "prose.yaml", "--set", "data.validation_path=names"], "names: a folder, not a file"),
        (["train", "names.yaml", "--set", "model.stateful=true"], "model.stateful: is for one long text"),
        (["train", "words.yaml", "--set", "model.causal=false"], "model.causal: must be true"),
        (["train", "prose.yaml", "--set", "model.bidirectional=true"], "model.bidirectional: must be false"),
        (["train", "prose.yaml", "--set", "train.gradient_accumulation=2"], "train.gradient_accumulation: must be 1"),
        (["train", "prose.yaml", "--set", "text.min_count=100000"], "the vocabulary must have at least two characters"),
        (["generate", "prose", "--prompt", "a\udcff"], "'--prompt': must be UTF-8 text. Received byte 0xff."),
        (["predict", "prose", "--text", "\udcfeb"], "'--text': must be UTF-8 text. Received byte 0xfe."),
    ],
)
def test_refused_input(made: Path, arguments: list[object], message: str) -> None:
    outcome = run(*arguments, folder=made, status=2)
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_corrupt_vocabulary_is_refused(folder: Path) -> None:
    path = folder / "runs" / "prose" / "vocabulary.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    assert "must have the" in run("generate", "prose", folder=folder, status=2).stderr
    path.write_text("\n".join(reversed(lines)) + "\n")
    assert "vocabulary.txt:1: is not what this run saved" in run("generate", "prose", folder=folder, status=2).stderr
    path.write_text("no json\n")
    assert "must have a token on each line" in run("generate", "prose", folder=folder, status=2).stderr


def test_unknown_characters_of_a_prompt_are_reported(made: Path) -> None:
    outcome = run("generate", "prose", "--prompt", "the é", "--length", 5, folder=made)
    assert "1 character of the prompt not in the model's vocabulary" in outcome.stderr


@pytest.mark.slow  # the same verbs on other sequence tasks are quick
def test_summary_dry_run_and_overfit(made: Path) -> None:
    assert "gru1" in run("summary", "names", folder=made).stdout
    assert "lstm2" in run("summary", "prose.yaml", folder=made).stdout
    cut = run("train", "names.yaml", "--dry-run", "--set", "text.max_length=3", folder=made).stderr
    assert re.search(r"train: \d+ of \d+ texts are longer than text\.max_length, 3 characters, and truncated", cut)
    assert "x.is_first [8]" in run("train", "prose.yaml", "--dry-run", folder=made).stdout
    small = ("--set", "model.dropout=0", "--set", "train.batch_size=4")
    assert "overfitted: loss" in run("train", "prose.yaml", "--overfit", 1, *small, folder=made).stdout
    assert "overfitted: loss" in run("train", "names.yaml", "--overfit", 1, *small, folder=made).stdout


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "prose", tmp_path)
    assert_usable(made / "runs" / "names", tmp_path)
