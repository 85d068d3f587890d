"""Loading a recipe: overrides, places for later checks, paths, and rules that need the whole recipe."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.recipe.language.errors import MAX_SHOWN, RecipeError
from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.language.yaml_reader import MAX_VALUES
from dlcli.recipe.load import LoadedRecipe, Override, load
from dlcli.recipe.sections.image_data import Folder, Npz
from dlcli.recipe.sections.image_model import Convnet, Mlp
from dlcli.recipe.sections.optimizer import Adam, Sgd

ROOT = Path(__file__).parents[2]
RECIPE = """\
task: classification
data:
  kind: folder
  path: photos
model:
  kind: convnet
  blocks:
    - {filters: 32}
    - {filters: 64, kernel_size: 5}
train:
  optimizer: {kind: adam, learning_rate: 1e-3}
  class_weights: {"0": 1, b.c: 2}
"""


@pytest.fixture(autouse=True)
def _recipe_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE)


def load_with(*settings: str) -> LoadedRecipe:
    return load(Path("recipe.yaml"), [parse_setting(setting) for setting in settings])


def error_with(*settings: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_with(*settings)
    return str(caught.value)


def test_the_parts_of_a_loaded_recipe() -> None:
    loaded = load_with()
    assert loaded.path == Path("recipe.yaml")
    assert loaded.text == RECIPE.encode()
    assert isinstance(loaded.recipe.model, Convnet)
    assert [block.filters for block in loaded.recipe.model.blocks] == [32, 64]
    assert loaded.recipe.train.optimizer == Adam(kind="adam", learning_rate=0.001)
    assert loaded.recipe.train.batch_size == 32


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_recipes_are_valid(file: Path) -> None:
    assert load(file).recipe.task


# Places -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("data.path", "recipe.yaml:4:9"),
        ("model.blocks.1.kernel_size", "recipe.yaml:9:34"),
        ("model.blocks.1", "recipe.yaml:9:7"),
        ("model.blocks.1.dropout", "recipe.yaml:9:7"),
        ("train.best_metric", "recipe.yaml:10:1"),
        ("train.optimizer.beta_1", "recipe.yaml:11:3"),
        ("train.class_weights.0", "recipe.yaml:12:24"),
        ("name", "recipe.yaml:1:1"),
        ("task", "recipe.yaml:1:7"),
    ],
)
def test_locate(key: str, place: str) -> None:
    assert load_with().locate(key) == place


def test_errors_of_later_checks() -> None:
    error = load_with("train.best_metric=val_loss").error("data.path", "no such folder: photos")
    assert isinstance(error, InputError)
    assert str(error) == "recipe.yaml:4:9: data.path: no such folder: photos"
    error = load_with("train.best_metric=val_loss").error("train.best_metric", "there is no validation split")
    assert str(error) == "--set train.best_metric=val_loss: train.best_metric: there is no validation split"


# Paths --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("photos", "{here}/sub/photos"),
        ("../photos", "{here}/photos"),
        ("/data/photos", "/data/photos"),
        ("~/photos", "{here}/home/photos"),
        ("$HOME/photos", "{here}/sub/$HOME/photos"),
    ],
)
def test_paths_are_relative_to_the_file(
    written: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("sub").mkdir()
    Path("sub/recipe.yaml").write_text(RECIPE.replace("path: photos", f"path: {written}"))
    data = load(Path("sub/recipe.yaml")).recipe.data
    assert isinstance(data, Folder)
    assert data.path == path.format(here=tmp_path)


# Overrides ----------------------------------------------------------------------------------------------------------


def test_overrides_replace_values() -> None:
    recipe = load_with(
        "train.epochs=5", "train.optimizer.learning_rate=1/100", "model.blocks.0.filters=8", "train.epochs=6"
    ).recipe
    assert recipe.train.epochs == 6
    assert recipe.train.optimizer.learning_rate == 0.01
    assert isinstance(recipe.model, Convnet)
    assert [(block.filters, block.kernel_size) for block in recipe.model.blocks] == [(8, 3), (64, 5)]


def test_overrides_create_missing_sections() -> None:
    stopping = load_with("train.early_stopping.patience=3").recipe.train.early_stopping
    assert stopping is not None
    assert stopping.patience == 3


def test_a_section_that_only_overrides_have_is_of_the_default_kind() -> None:
    Path("recipe.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: mlp}\n")
    train = load_with("train.optimizer.learning_rate=0.5", "train.schedule.warmup_epochs=2").recipe.train
    assert (train.optimizer.kind, train.optimizer.learning_rate) == ("adam", 0.5)
    assert (train.schedule.kind, train.schedule.warmup_epochs) == ("constant", 2)
    assert load_with("train.optimizer.momentum=0.5", "train.optimizer.kind=sgd").recipe.train.optimizer.kind == "sgd"
    assert error_with("train.optimizer.momentum=0.5").startswith(
        "--set train.optimizer.momentum=0.5: train.optimizer.momentum: unknown key for kind 'adam'; it belongs to "
    )
    assert "train.class_weights.a.b" in error_with("train.class_weights.a.b=1")  # no section by the schema


def test_a_section_of_the_file_needs_its_kind() -> None:
    Path("recipe.yaml").write_text(
        "task: classification\ndata: {kind: digits}\nmodel: {kind: mlp}\ntrain: {optimizer: {epsilon: 0.1}}\n"
    )
    assert "train.optimizer.kind: missing key" in error_with("train.optimizer.learning_rate=0.5")


def test_overrides_replace_sections_and_lists() -> None:
    recipe = load_with("model={kind: mlp, units: [8, 9]}", "train.optimizer={kind: sgd}", "name=").recipe
    assert recipe.model == Mlp(kind="mlp", units=(8, 9))
    assert recipe.train.optimizer == Sgd(kind="sgd")
    assert recipe.name is None


def test_a_number_sign_in_an_override_is_no_comment() -> None:
    assert "Received 'a #b'." in error_with("name=a #b")
    assert load_with("data.image_size=[8, 9] # as in the paper").recipe.data.image_size == (8, 9)


def test_one_number_is_both_sides_of_an_image() -> None:
    assert load_with("data.image_size=16").recipe.data.image_size == (16, 16)
    for value in ("0", "-3", "true", "2.5"):
        assert "expected a list of 2 whole numbers > 0" in error_with(f"data.image_size={value}")


def test_override_of_text() -> None:
    override = Override.of_value("data.path", "2026: *.png", "--data '2026: *.png'")
    data = load(Path("recipe.yaml"), [override]).recipe.data
    assert isinstance(data, Folder)
    assert Path(data.path).name == "2026: *.png"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "train.epochs=abc",
            "--set train.epochs=abc: train.epochs: expected a whole number > 0. Received 'abc'.",
        ),
        ("train.epoch=5", "--set train.epoch=5: train.epoch: unknown key; did you mean 'epochs'?"),
        ("trian.epochs=5", "--set trian.epochs=5: trian: unknown key; did you mean 'train'?"),
        (
            "model.blocks.7.filters=3",
            "--set model.blocks.7.filters=3: model.blocks.7.filters: model.blocks is a list and has the items 0 to 1. "
            "Received '7'.",
        ),
        (
            "model.blocks.first.filters=3",
            "--set model.blocks.first.filters=3: model.blocks.first.filters: model.blocks is a list and has the items "
            "0 to 1. Received 'first'.",
        ),
        (
            "data.path.x=1",
            "--set data.path.x=1: data.path.x: data.path is 'photos', not a section, and has no keys",
        ),
        (
            "train.schedule.final=0.1",
            "--set train.schedule.final=0.1: train.schedule.final: "
            "unknown key for kind 'constant'; it belongs to cosine",
        ),
        ("train.epochs=[1", "--set train.epochs=[1: train.epochs: expected ',' or a closing bracket"),
        (
            "train.epochs=#5",
            "--set train.epochs=#5: train.epochs: expected a value, received a comment; quote text "
            "that starts with '#'",
        ),
        (
            "train.optimizer={kind: sgd, kind: adam}",
            "--set train.optimizer={kind: sgd, kind: adam}: train.optimizer: duplicate key 'kind' (twice on this line)",
        ),
        (
            "train.optimizer={kind: sgd, momentum: !!float 0.5}",
            "--set train.optimizer={kind: sgd, momentum: !!float 0.5}: train.optimizer.momentum: tags are not "
            "supported; remove it, or quote text that starts with '!'",
        ),
        (
            "model.kind=mlp",
            "--set model.kind=mlp: model.kind: the file's blocks cannot be combined with kind 'mlp'; replace the whole "
            "section: --set 'model={kind: mlp, …}'",
        ),
        (
            "model={kind: mlp, blocks: []}",
            "--set model={kind: mlp, blocks: []}: model.blocks: unknown key for kind 'mlp'; it belongs to convnet",
        ),
        (
            "task=chess",
            "--set task=chess: task: unknown task 'chess'; the tasks are classification, localization, "
            "image_regression, multilabel, segmentation, detection, instance_segmentation, text_classification, "
            "text_multilabel, text_regression, sequence_classification, sequence_regression, tagging, step_prediction, "
            "forecasting, language_model and sequence_to_sequence",
        ),
        (
            "train.checkpoint=\n{5: x}",
            '--set train.checkpoint=\\n{5: x}: train.checkpoint: a key must be text; write "5"',
        ),
    ],
)
def test_errors_of_overrides(setting: str, message: str) -> None:
    assert error_with(setting) == message


def test_override_of_text_with_control_characters() -> None:
    with pytest.raises(RecipeError) as caught:
        load(Path("recipe.yaml"), [Override.of_value("data.path", "a\udce9", "--data")])
    assert str(caught.value) == "--data: data.path: text must not contain control characters. Received U+DCE9."


def test_errors_of_file_and_overrides_are_in_order() -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("path: photos", "pth: photos").replace("64", "many"))
    assert error_with("train.seed=-1", "train.epochs=0", "model.blocks.0.filters=8").split("\n") == [
        "recipe.yaml:4:3: data.pth: unknown key; did you mean 'path'?",
        "recipe.yaml:9:17: model.blocks.1.filters: expected a whole number > 0. Received 'many'.",
        "--set train.seed=-1: train.seed: expected a whole number in [0, 4294967295]. Received -1.",
        "--set train.epochs=0: train.epochs: expected a whole number > 0. Received 0.",
    ]


def test_an_override_can_fix_the_file() -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("learning_rate: 1e-3", "learning_rate: fast"))
    assert load_with("train.optimizer.learning_rate=1e-2").recipe.train.optimizer.learning_rate == 0.01


def test_epochs_with_stages() -> None:
    stages = "train.stages=[{name: head, epochs: 2}]"
    assert load_with(stages).recipe.train.stages[0].epochs == 2
    assert error_with(stages, "train.epochs=3") == (
        "--set train.epochs=3: train.epochs: cannot be combined with stages, each of which has its own "
        "epochs; remove it"
    )


@pytest.mark.parametrize("setting", ["train.epochs", "=5", ".=5", "train.=5", "train..epochs=5"])
def test_settings_need_key_and_value(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_setting(setting)
    assert str(caught.value) == f"--set {setting}: expected KEY=VALUE, such as train.epochs=5"


def test_settings_may_contain_equals_signs() -> None:
    assert parse_setting("data.path=a=b") == Override("data.path", "a=b", "--set data.path=a=b")


# Hostile sizes ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_thousands_of_errors_are_truncated() -> None:
    lines = "".join(f"learning_rte{i}: 1\n" for i in range(MAX_VALUES // 2 - 50))
    Path("recipe.yaml").write_text(RECIPE + lines)
    error = error_with().split("\n")
    assert len(error) == MAX_SHOWN + 1
    assert error[-1] == f"recipe.yaml: … and {MAX_VALUES // 2 - 50 - MAX_SHOWN} more"


@pytest.mark.slow
def test_thousands_of_sections() -> None:
    blocks = "".join("    - {filters: 0, kernel: 3}\n" for _ in range(3000))
    Path("recipe.yaml").write_text(RECIPE.replace("    - {filters: 32}\n", blocks))
    assert len(error_with().split("\n")) == MAX_SHOWN + 1


# Rules that need sections -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "rank"), [("signal", 1), ("image", 2), ("volume", 3)])
def test_rank_follows_the_layout(layout: str, rank: int) -> None:
    settings = [f"data={{kind: npz, path: x.npz, layout: {layout}}}", f"model.rank={rank}"]
    data = load_with(*settings).recipe.data
    assert isinstance(data, Npz)
    assert data.layout == layout
    assert "model.rank: must be" in error_with(settings[0], f"model.rank={rank % 3 + 1}")


def test_a_run_without_its_recipe_says_how_to_restore_it(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"config.yaml: no such file\. A run directory must contain it\. Restore it"):
        load(tmp_path / "config.yaml")
    with pytest.raises(InputError, match=r"other.yaml: no such file$"):
        load(tmp_path / "other.yaml")
