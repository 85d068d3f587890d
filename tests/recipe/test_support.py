"""Which verbs and options each task supports: refusals name the option, what was named, the task and the remedy."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest

from dlcli.cli.explain import METHODS
from dlcli.errors import InputError
from dlcli.recipe.load import TASKS, Recipe, load
from dlcli.recipe.support import OPTIONS, VERBS, check_explanation, check_options, check_verb
from dlcli.recipe.tasks.base import EXPLANATION_OPTIONS, TaskRecipe

DATA = {
    "classification": "{kind: digits}",
    "localization": "{kind: shapes}",
    "image_regression": "{kind: shapes}",
    "multilabel": "{kind: scenes}",
    "segmentation": "{kind: scenes}",
    "detection": "{kind: scenes}",
    "instance_segmentation": "{kind: scenes}",
    "text_classification": "{kind: csv, path: a.csv}",
    "text_multilabel": "{kind: jsonl, path: a.jsonl, label: tags}",
    "text_regression": "{kind: csv, path: a.csv}",
    "sequence_classification": "{kind: csv, path: a.csv}",
    "sequence_regression": "{kind: adding}",
    "tagging": "{kind: conllu, path: a.conllu}",
    "step_prediction": "{kind: copy}",
    "forecasting": "{kind: csv, path: a.csv, time: [date], target: load}",
    "language_model": "{kind: text, path: a.txt}",
    "sequence_to_sequence": "{kind: addition}",
}
IMAGES = ("classification", "localization", "image_regression", "multilabel")
MODELS = dict.fromkeys(IMAGES, "lenet5") | {
    "segmentation": "unet",
    "detection": "fcos, backbone: {kind: vgg}",
    "instance_segmentation": "mask_rcnn, backbone: {kind: vgg}",
    "sequence_to_sequence": "encoder_decoder",
}
OF_CLASSIFIERS = {"--calibrate", "--output FILE.npz", "--probabilities", "--top", "--top-k"}
REFUSED = {
    "classification": {"--beam", "--copy-unknown", "--draw", "--text"},
    "localization": {"--tta", "--beam", "--copy-unknown", "--text"},
    "image_regression": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text", *OF_CLASSIFIERS},
    "segmentation": {"--tta", "--beam", "--copy-unknown", "--text", *OF_CLASSIFIERS},
    "detection": {"--tta", "--beam", "--copy-unknown", "--text", *OF_CLASSIFIERS},
    "instance_segmentation": {"--tta", "--beam", "--copy-unknown", "--text", *OF_CLASSIFIERS},
    "multilabel": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text", *OF_CLASSIFIERS},
    "text_classification": {"--tta", "--beam", "--copy-unknown", "--draw", "--input"},
    "text_multilabel": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", *OF_CLASSIFIERS},
    "text_regression": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", *OF_CLASSIFIERS},
    "sequence_classification": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text"},
    "sequence_regression": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text", *OF_CLASSIFIERS},
    "tagging": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--output FILE.npz", "--top"},
    "step_prediction": {
        "--tta",
        "--beam",
        "--copy-unknown",
        "--data",
        "--draw",
        "--input",
        "--split",
        "--text",
        *OF_CLASSIFIERS,
    },
    "forecasting": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text", *OF_CLASSIFIERS},
    "language_model": {"--tta", "--beam", "--copy-unknown", "--draw", "--input", "--text", *OF_CLASSIFIERS},
    "sequence_to_sequence": {"--tta", "--draw", "--input", *OF_CLASSIFIERS},
}
for of_task in REFUSED.keys() - {"segmentation", "instance_segmentation"}:
    REFUSED[of_task] |= {"--masks", "--pixel-size"}
for of_task in REFUSED.keys() - {"detection", "instance_segmentation"}:
    REFUSED[of_task] |= {"--crops", "--plot", "--score"}
INSPECTED = {"data check", "data stats", "data split"}


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Recipe:
    """A recipe of the task that a test names."""
    file = tmp_path / "recipe.yaml"
    model = MODELS.get(request.param, "recurrent")
    file.write_text(f"task: {request.param}\ndata: {DATA[request.param]}\nmodel: {{kind: {model}}}\n")
    return load(file).recipe


def refused_options(recipe: TaskRecipe, given: Collection[str]) -> str:
    with pytest.raises(InputError) as caught:
        check_options(recipe, "runs/x", given)
    return str(caught.value)


def refused_verb(recipe: TaskRecipe, verb: str) -> str:
    with pytest.raises(InputError) as caught:
        check_verb(recipe, "runs/x", verb)
    return str(caught.value)


@pytest.mark.parametrize("schema", TASKS.values(), ids=TASKS)
def test_every_task_says_what_it_supports(schema: type[TaskRecipe]) -> None:
    assert schema.samples
    assert {"train", "evaluate", "summary"} <= schema.verbs <= VERBS
    assert schema.options <= OPTIONS.keys()
    assert schema.instead.keys() <= VERBS | OPTIONS.keys() | {f"explain {option}" for option in EXPLANATION_OPTIONS}


def test_every_verb_and_option_is_supported_by_a_task() -> None:
    assert set(TASKS) == set(REFUSED)
    assert frozenset().union(*(schema.verbs for schema in TASKS.values())) == VERBS
    assert frozenset().union(*(schema.options for schema in TASKS.values())) == OPTIONS.keys()
    assert set(TASKS.values()) == set(get_args(Recipe))


@pytest.mark.parametrize("recipe", TASKS, indirect=True)
def test_options_of_each_task(recipe: Recipe) -> None:
    check_options(recipe, "runs/x", ())
    check_options(recipe, "runs/x", {"--force", *OPTIONS.keys() - REFUSED[recipe.task]})
    for option in REFUSED[recipe.task]:
        message = refused_options(recipe, ("--force", option))
        assert message.startswith(f"{option}: runs/x ")
        assert f"its task is {recipe.task}. " in message
        assert message.endswith(".")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("recipe", "option", "message"),
    [
        ("text_classification", "--beam", "decodes no text: its task is text_classification. Remove the option."),
        ("tagging", "--draw", "predicts neither boxes nor masks: its task is tagging. Remove the option."),
        ("classification", "--text", "takes images or arrays: its task is classification. Name files instead."),
        ("forecasting", "--text", "takes tables of numbers: its task is forecasting. Name files instead."),
        (
            "sequence_classification",
            "--input",
            "takes sequences of numbers: its task is sequence_classification. Leave --input and --classes out; the "
            "shape is read from the data.",
        ),
        (
            "step_prediction",
            "--data",
            "has no other data to be evaluated on: its task is step_prediction. It is always evaluated on the "
            "generated test samples. Remove the option.",
        ),
        (
            "step_prediction",
            "--split",
            "has one split to be evaluated on: its task is step_prediction. It is always evaluated on the "
            "generated test samples. Remove the option.",
        ),
    ],
    indirect=["recipe"],
)
def test_refusal_of_an_option(recipe: Recipe, option: str, message: str) -> None:
    assert refused_options(recipe, [option]) == f"{option}: runs/x {message}"


@pytest.mark.parametrize("recipe", TASKS, indirect=True)
def test_verbs_of_each_task(recipe: Recipe) -> None:
    expected = {"train", "evaluate", "explain", "export", "summary"}
    expected |= set() if recipe.task == "step_prediction" else INSPECTED
    expected |= set() if recipe.task in ("step_prediction", "language_model") else {"predict"}
    expected |= set() if recipe.task == "step_prediction" else {"serve"}
    expected |= {"embed"} if recipe.task in IMAGES else set()
    expected |= {"generate"} if recipe.task == "language_model" else set()
    expected |= {"attack"} if recipe.task == "classification" else set()
    on_images = (*IMAGES, "segmentation", "detection", "instance_segmentation")
    expected |= {"search", "data pack", "data preview"} if recipe.task in on_images else set()
    for verb in expected:
        check_verb(recipe, "runs/x", verb)
    for verb in VERBS - expected:
        assert refused_verb(recipe, verb).startswith(f"runs/x: dlcli {verb} does not support task: {recipe.task}, ")


@pytest.mark.parametrize(
    ("recipe", "verb", "message"),
    [
        ("localization", "attack", "localization, only classification."),
        (
            "segmentation",
            "attack",
            "segmentation, only classification. Adversarial examples of a class for each pixel are not available.",
        ),
        ("detection", "attack", "detection, only classification. Adversarial examples of detectors are not available."),
        (
            "instance_segmentation",
            "attack",
            "instance_segmentation, only classification. Adversarial examples of detectors are not available.",
        ),
        ("tagging", "generate", "tagging, only language_model. Use dlcli predict."),
        ("tagging", "data preview", "tagging, whose samples are sentences."),
        ("image_regression", "attack", "image_regression, only classification."),
        ("multilabel", "attack", "multilabel, only classification."),
        ("language_model", "predict", "language_model, whose samples are texts. Use dlcli generate."),
        (
            "step_prediction",
            "predict",
            "step_prediction, whose samples are generated sequences of bits. Use dlcli evaluate.",
        ),
        ("step_prediction", "data check", "step_prediction, whose samples are generated sequences of bits."),
    ],
    indirect=["recipe"],
)
def test_refusal_of_a_verb(recipe: Recipe, verb: str, message: str) -> None:
    assert refused_verb(recipe, verb) == f"runs/x: dlcli {verb} does not support task: {message}"


@pytest.mark.parametrize(
    ("recipe", "methods", "given", "message"),
    [
        (
            "text_classification",
            ["auto", "gradcam"],
            [],
            "--method gradcam: does not explain runs/x: its task is text_classification. Use auto, integrated, "
            "gradient-x-input or leave-one-out.",
        ),
        (
            "classification",
            ["leave-one-out"],
            [],
            "--method leave-one-out: does not explain runs/x: its task is classification. Use auto, gradient, "
            "smoothgrad, integrated, gradcam, gradcam++, occlusion or guided.",
        ),
        (
            "text_classification",
            ["integrated"],
            ["--steps", "--layer"],
            "--layer: does not apply to explanations of runs/x: its task is text_classification. Remove the option.",
        ),
        (
            "classification",
            [],
            ["--text"],
            "--text: does not apply to explanations of runs/x: its task is classification. Remove the option.",
        ),
    ],
    indirect=["recipe"],
)
def test_refused_explanations(recipe: Recipe, methods: list[str], given: list[str], message: str) -> None:
    check_explanation(recipe, "runs/x", [name for name in methods if name in ("auto", "integrated")], ["--steps"])
    with pytest.raises(InputError) as caught:
        check_explanation(recipe, "runs/x", methods, given)
    assert str(caught.value) == message


def test_what_explains_a_task_is_known() -> None:
    methods = {name for schema in TASKS.values() if "explain" in schema.verbs for name in schema.explanation_methods}
    assert methods | {"auto"} == set(METHODS)
    for schema in TASKS.values():
        assert schema.explanation_options <= EXPLANATION_OPTIONS


def test_a_refusal_needs_no_tensorflow() -> None:
    code = "import sys, dlcli.recipe.support; sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
