"""Any valid recipe survives writing and reading; a changed key or value is reported by its name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, StringConstraints

from dlcli.recipe.json_schema import schema_text
from dlcli.recipe.language.diagnosis import field_type
from dlcli.recipe.language.errors import RecipeError, dotted
from dlcli.recipe.language.fields import NullForDefault, Section
from dlcli.recipe.language.wording import is_section, kinds_of, split_annotated, union_members
from dlcli.recipe.language.yaml_reader import CONTROL, MAX_INTEGER
from dlcli.recipe.load import TASKS, load
from dlcli.recipe.sections.image_model import NETWORKS_WITH
from dlcli.recipe.sections.sweep import Asha, Sweep
from dlcli.recipe.tasks.classification import RANK
from dlcli.recipe.yaml_writer import resolved, to_yaml

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=settings().max_examples // 2)
NONE = type(None)
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of the strategy for all keys
VALIDATOR = Draft202012Validator(json.loads(schema_text()))

# A strategy for every type of the schema, derived from the types themselves ------------------------------------------

TEXT = st.one_of(
    st.text(min_size=1, max_size=12).filter(lambda text: CONTROL.search(text) is None),
    st.sampled_from(
        ["no", "null", "~", "1e-3", "1_000", "0x1f", "1:30", "- a", "a: b", "#", "é\n", "=", "2026-11-23", " "]
    ),
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that the schema accepts for a type."""
    base, metadata = split_annotated(annotation)
    if any(isinstance(item, NullForDefault) for item in metadata):
        others = tuple(item for item in metadata if not isinstance(item, NullForDefault))
        return st.none() | values_of(Annotated[base, *others] if others else base)
    members = union_members(base)
    if len(members) > 1:
        return st.one_of([st.none() if member is NONE else values_of(member) for member in members])
    if base is Sweep:
        return sweeps()
    if is_section(base):
        return sections(base)
    match get_origin(base):
        case origin if origin is Literal:
            return st.sampled_from(get_args(base))
        case origin if origin is tuple and any(isinstance(item, AfterValidator) for item in metadata):
            return st.tuples(*(st.just("1/2"), st.sampled_from(["1/2", 0.75, 1.0])))  # the smaller first
        case origin if origin is tuple:
            item = values_of(get_args(base)[0])
            if get_args(base)[-1] is Ellipsis:
                return st.lists(item, min_size=1, max_size=3).map(tuple)
            return st.tuples(*(values_of(member) for member in get_args(base)))
        case origin if origin is dict:
            return st.dictionaries(TEXT, values_of(get_args(base)[1]), max_size=4)
    if base is str:
        patterns = [item.pattern for item in metadata if isinstance(item, StringConstraints)]
        return st.from_regex(str(patterns[0]), fullmatch=True) if patterns else TEXT
    if base is bool:
        return st.booleans()
    return whole_numbers(metadata) if base is int else numbers(metadata)


def sweeps() -> st.SearchStrategy[dict[str, Any]]:
    """Sweeps that keep the rules between their keys."""
    lists = {"model.dropout": (0, 0.5), "augment": (None, {"horizontal_flip": True}), "model.units": ((3, 3), "no")}
    points = {"train.optimizer.learning_rate": {"log": (1e-4, "1/2"), "points": 3}}
    ranges = {"a.b": {"uniform": (-1.0, 2.5)}, "c": {"int": (-3, 4)}}
    budget = st.fixed_dictionaries({"trials": whole_numbers((Gt(0),))}, optional={"hours": numbers((Gt(0),))})
    anything = {"space": st.sampled_from([lists, points, ranges, {**lists, **ranges}]), "budget": budget}
    more = {"workers": st.integers(1, 256), "objective": TEXT, "baseline": st.booleans()}
    seeds = {"seeds": st.integers(1, 100)}
    asha = {"method": st.just("asha"), "asha": st.none() | sections(Asha)}
    return (
        st.fixed_dictionaries(
            {"space": st.sampled_from([lists, points]), "method": st.just("grid")}, optional=more | seeds
        )
        | st.fixed_dictionaries({**anything, "method": st.sampled_from(["random", "tpe"])}, optional=more | seeds)
        | st.fixed_dictionaries({**anything, **asha}, optional=more)
    )


def whole_numbers(metadata: tuple[Any, ...]) -> st.SearchStrategy[int]:
    low, high = -MAX_INTEGER, MAX_INTEGER
    for item in metadata:
        match item:
            case Gt(gt=bound):
                low = bound + 1
            case Ge(ge=bound):
                low = bound
            case Le(le=bound):
                high = bound
    return st.integers(low, high)


def numbers(metadata: tuple[Any, ...]) -> st.SearchStrategy[float | str]:
    """Floats, and a fraction within the bounds."""
    bounds: dict[str, Any] = {}
    for item in metadata:
        match item:
            case Gt(gt=bound):
                bounds |= {"min_value": bound, "exclude_min": True}
            case Ge(ge=bound):
                bounds |= {"min_value": bound}
            case Lt(lt=bound):
                bounds |= {"max_value": bound, "exclude_max": True}
            case Le(le=bound):
                bounds |= {"max_value": bound}
    fraction = "1/2" if bounds.get("min_value", 0) < 0.5 else "5/2"
    return st.floats(**bounds, allow_nan=False, allow_infinity=False) | st.just(fraction)


def sections(section: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    required = {key for key, field in section.model_fields.items() if field.is_required()}
    fields = {key: values_of(field_type(section, key)) for key in section.model_fields}
    return st.fixed_dictionaries(
        {key: fields[key] for key in fields if key in required},
        optional={key: fields[key] for key in fields if key not in required},
    )


INPUT_KEYS = (
    *("rescale", "featurewise_center", "featurewise_std_normalization"),
    *("samplewise_center", "samplewise_std_normalization", "zca_whitening", "zca_epsilon"),
)


def keep_rules(values: dict[str, Any]) -> dict[str, Any]:
    """Changes generated values so that they keep the rules between keys."""
    data, model, train = values["data"], values["model"], values.get("train", {})
    if data.get("resize") == "none":  # it has rules on the network and the augmentation, see rule_own_sizes.yaml
        del data["resize"]
    for key, tasks in {
        "mosaic": ("detection", "instance_segmentation"),
        "copy_paste": ("instance_segmentation",),
    }.items():
        if values["task"] not in tasks:
            (values.get("augment") or {}).pop(key, None)
    if values["task"] == "localization":
        for key in ("mixup", "cutmix"):
            (values.get("augment") or {}).pop(key, None)
        train.pop("adversarial", None)
        if "train_list" not in data:
            data.pop("validation_list", None)
            data.pop("test_list", None)
        elif data["train_list"] is None:
            data["train_list"] = "train.txt"
        if data["kind"] == "csv":
            data |= {"size": ("width", "height")} if data.get("size") is not None else {}
            data |= {"box": ("left", "top", "right", "bottom")} if data.get("box") is not None else {}
    if values["task"] == "image_regression":
        if data["kind"] == "csv":
            data |= {"image": "path", "targets": ("age", "weight"), "group": None}
            data["split"] = None if data.get("split") is None else "part"
        elif data["kind"] == "shapes":
            data["targets"] = ("side", "center_x")
    if values["task"] == "text_regression":
        data |= {"text": "text", "target": "age", "group": None}
        data["split"] = None if data.get("split") is None else "part"
    if values["task"] == "text_multilabel" or (values["task"] == "multilabel" and data["kind"] == "csv"):
        name = "text" if values["task"] == "text_multilabel" else "image"
        data |= {name: "path", "group": None, "split": None if data.get("split") is None else "part"}
        if data.get("label") is None:
            data |= {"labels": ("cat", "dog"), "label": None, "separator": None}
        else:
            data |= {"labels": None, "label": "tags", "separator": "|"}
        if data["kind"] == "jsonl":
            data.pop("separator")
    if values["task"] == "segmentation":
        for key in ("tiles", "palette", "foreground", "ignore"):
            data.pop(key, None)
        if data["kind"] == "masks":
            data["classes"] = ("a", "b")
        if model["kind"] != "unet" or model.get("backbone") is not None:
            model["backbone"] = {"kind": "resnet", "depth": 18}
            for key in ("depth", "preprocessing"):
                model.pop(key, None)
        (values.get("augment") or {}).pop("mixup", None)
    if values["task"] in ("detection", "instance_segmentation"):
        model["backbone"] = {"kind": "resnet", "depth": 18}
        for key in ("levels", "channels", "anchor_sizes", "positive_iou", "negative_iou"):
            model.pop(key, None)
        for key in ("anchor_positive_iou", "anchor_negative_iou", "proposal_candidates", "num_proposals"):
            model.pop(key, None)
        data.pop("tiles", None)
        if data.get("classes") is not None:
            data["classes"] = ("a", "b")
        if data["kind"] == "csv":
            data |= {"size": ("width", "height")} if data.get("size") is not None else {}
            data |= {"box": ("left", "top", "right", "bottom")} if data.get("box") is not None else {}
        if data["kind"] == "voc":
            for key in ("train_list", "validation_list", "test_list"):
                data.pop(key, None)
        for key in ("mixup", "cutmix"):
            (values.get("augment") or {}).pop(key, None)
        detect = (values.get("evaluate") or {}).get("detect") or {}
        detect.pop("candidates", None)
        detect.pop("max_boxes", None)
    if values.get("search") is not None:  # it replaces the cells of a network, which is trained in one stage
        search = values["search"]
        cells = {"kind": "cells", "genotype": "nasnet_a"}
        if values["task"] == "segmentation":  # a U-Net on a backbone has no depth or scaling of its own
            model = {key: value for key, value in model.items() if key not in ("depth", "preprocessing")}
        has_backbone = "backbone" in model or values["task"] == "segmentation"
        values["model"] = model = {**model, "backbone": cells} if has_backbone else cells
        train.pop("stages", None)
        search["objective"] = ("val_accuracy", {"parameters": {"at_most": 1e6}}, "multiply_adds")
        search["space"]["operations"] = ("sep3", "identity")
        method = search.get("method", {})
        if "sample" in method or "population" in method:
            method["sample"], method["population"] = 2, 3
        if method.get("kind") == "random":
            search["baseline"] = None
    if train.get("class_weights") == "balanced" or values["task"] == "sequence_regression":
        data.pop("sampling", None)
    layout = data.get("layout", "image")
    if layout != "image":
        for key in ("image_size", "color_mode", "value_range"):
            data.pop(key, None)
        if model["kind"] not in ("convnet", "mlp"):
            values["model"] = model = {"kind": "mlp"}
        values.pop("search", None)  # whose cells are for images
    for section, key in ((data, "value_range"), (model, "input_range")):
        if section.get(key) is not None and not is_below(*section[key]):
            section[key] = (0, "1/2")
    augment = values.get("augment") or {}
    if layout != "image":
        values.pop("augment", None)
    if augment.get("zca_whitening"):
        augment.pop("featurewise_std_normalization", None)
    if augment.get("fill_mode") != "constant":
        augment.pop("cval", None)
    if augment.get("rescale") is not None:
        model.pop("preprocessing", None)
    if not augment.get("zca_whitening"):
        augment.pop("zca_epsilon", None)
    for key in ("width_shift_range", "height_shift_range"):
        value = augment.get(key)
        if isinstance(value, tuple) or (isinstance(value, int) and value == 1):
            augment[key] = (0.25, "1/2")
    if layout != "image" or {"mixup", "cutmix"} & augment.keys():
        train.pop("adversarial", None)
    if train.get("adversarial") is not None:
        train["adversarial"]["validate_robustness"] = True
    else:
        for section, key in (
            (train, "best_metric"),
            (train.get("early_stopping") or {}, "metric"),
            (train.get("schedule", {}), "metric"),
        ):
            if section.get(key) == "val_robust_accuracy":
                section[key] = "val_loss"
    if model["kind"] == "python":
        model["file"] = "my_net.py"
    if model["kind"] in ("resnet", "senet"):  # it depends on the network, see weights_torch.yaml
        model.pop("downsample", None)
    if model["kind"] == "cells":  # which has rules on the states, see cells_genotype.yaml
        cell = {"states": (("sep3(s0)", "identity(s1)"), ("avg3(s2)",)), "concatenate": ("s1", "s3")}
        if isinstance(model["genotype"], dict):
            model["genotype"] = {key: cell for key in model["genotype"] if model["genotype"][key] is not None}
        if model.get("stem") == "imagenet":
            model.pop("filters", None)
    spaces = {  # whose genotypes have rules of their own, see search_spaces.yaml
        "genetic_cnn": {"bits": ("1-01", "0-00-111")},
        "block_qnn": {"code": ((1, 1, 3, 0, 0), (2, 5, 0, 0, 1), (3, 7, 0, 0, 0))},
        "hierarchical": {"motifs": {"m": (("sep3(n1)",), ("max3(n1)", "conv1(n2)"))}, "cell": (("m(n1)",),)},
    }
    model |= spaces.get(model["kind"], {})
    if model["kind"] == "transformer":
        model["heads"] = 1
        if model.get("feed_forward") is None:
            model["units"] = min(model.get("units", 128), 2**60)  # 4 times as many must be a whole number of 64 bits
    if values["task"] in ("tagging", "step_prediction", "language_model"):
        model.pop("pooling", None)
    text = values.get("text") or {}
    if text.get("unit") in ("characters", "subwords"):
        text.pop("pretrained", None)
    if text.get("unit") != "subwords":
        text.pop("tokenizer", None)
    if text.get("windows") is not None:
        text |= {"max_length": 1000, "windows": {**text["windows"], "length": 100, "stride": None}}
    if text.get("unit") in ("characters", "subwords"):
        text.pop("characters", None)
    if text.get("pretrained") is None:
        text.pop("pretrained_trainable", None)
    if model.get("crf"):
        for key in ("class_weights", "label_smoothing", "loss"):
            train.pop(key, None)
    if values["task"] == "language_model":
        for split in ("validation", "test"):
            if data.get(f"{split}_path") is not None:
                data.pop(split, None)
        model.pop("bidirectional", None)
        if model["kind"] != "recurrent":
            model["causal"] = True
        if model.get("stateful"):
            values["data"] = data = {"kind": "text", "path": "a.txt"}
            train.pop("gradient_accumulation", None)
    if values["task"] == "text_classification" and data["kind"] in ("csv", "jsonl"):
        data["text"], data["label"] = "text", "label"
    data.pop("columns", None)
    if data.get("split") is not None and values["task"] != "language_model":
        for key in ("validation_path", "test_path"):
            data.pop(key, None)
    if data.get("features") is not None:
        data["features"] = tuple(f"feature {i}" for i in range(len(data["features"])))
    if values["task"] == "sequence_to_sequence":
        if data["kind"] == "csv":
            data["source"], data["target"] = "source", "target"
        if data["kind"] == "addition":
            data.pop("num_samples", None)
            data["digits"] = 3
    if model.get("teacher_forcing") and values["task"] == "tagging":
        values["model"] = model = {"kind": "recurrent", "cell": "jordan", "teacher_forcing": True}
    else:
        model.pop("teacher_forcing", None)
    if model.get("cell") != "leaky":
        model.pop("decay", None)
        model.pop("learn_decay", None)
    if "kernel_sizes" in model:
        model["kernel_sizes"] = (3, 5)
    if model["kind"] == "linear":
        model.pop("kernel_size", None)
    if model["kind"] == "ntm":
        model["shift"], model["memory"] = 1, (8, 4)
    if values["task"] == "forecasting":
        data["kind"], data["path"] = "csv", "a.csv"
        if data.get("time_format") is not None:
            data |= {"time_format": "%d.%m.%Y", "day_first": None}
        values.get("window", {}).pop("season", None)
        window = values.get("window", {})
        if window.get("quantiles") is not None or window.get("distribution") is not None:
            window["quantiles"] = (0.1, 0.5)
        data |= {"series": "series", "static": ("series", "region"), "future_features": ("holiday",)}
        data["calendar"] = ("hour", "month")
        data["on_missing"] = "keep"
        data["target"], data["time"] = "target", ("time",)
    if values["task"] == "step_prediction":
        for key in ("lengths", "repeats", "test_lengths"):
            data.pop(key, None)
    if train.get("batch_size") == 1:
        augment.pop("mixup", None)
        augment.pop("cutmix", None)
    if str(model.get("network", "")).startswith(("convnext", "efficientnet", "mobilenetv3")):
        model.pop("preprocessing", None)
        for key in INPUT_KEYS:
            augment.pop(key, None)
    if model.get("weights") not in (None, "none") and (
        model["weights"] != "imagenet" or model["kind"] != "application"
    ):
        model["weights"] = "trained.weights.h5"
    if model["kind"] == "saved":
        model["file"] = "run:digits"
        train.pop("precision", None)
        for key in INPUT_KEYS:
            augment.pop(key, None)
    if model["kind"] == "application":
        for key, networks in NETWORKS_WITH.items():
            if model["network"] not in networks:
                model.pop(key, None)
        if model.get("head", "paper") == "paper":
            model.pop("dense", None)
    if model.get("depth") in (20, 32, 44, 56, 110):
        model.pop("stem", None)
    if None not in (data.get("validation"), data.get("test")):
        data["validation"] = data["test"] = 0.25
    if data.get("fold") is not None:
        data["fold"]["number"] = min(data["fold"]["number"], data["fold"]["of"])
    if model["kind"] == "convnet":
        model["rank"] = RANK[layout]
    if train.get("gradient_accumulation", 1) > train.get("batch_size", 32):
        del train["gradient_accumulation"]
    if train.get("optimizer", {}).get("nesterov"):
        train["optimizer"]["momentum"] = 0.9
    if train.get("stages"):
        train["stages"] = tuple({**stage, "name": f"s{i}"} for i, stage in enumerate(train["stages"]))
        if train.get("ema") is not None:
            for stage in train["stages"]:
                stage.pop("rate_decay", None)
        train.pop("epochs", None)
    return values


def is_below(low: Any, high: Any) -> bool:
    return not isinstance(low, str) and not isinstance(high, str) and low < high


RECIPES = st.one_of([sections(task) for task in TASKS.values()]).map(keep_rules)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes") / "recipe.yaml"


def as_json(value: Any) -> Any:
    """Tuples as lists, as any YAML or JSON reader has them."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


# Tests ---------------------------------------------------------------------------------------------------------------


@REPEATABLE
@given(values=RECIPES)
def test_any_valid_recipe_round_trips(values: dict[str, Any], file: Path) -> None:
    file.write_text(to_yaml(values), encoding="utf-8")
    recipe = load(file).recipe
    full = resolved(recipe)
    elsewhere = file.parent / "runs" / "x" / "config.yaml"
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    elsewhere.write_text(to_yaml(full), encoding="utf-8")
    (elsewhere.parent / "run.json").write_text("{}")  # a file of code is then elsewhere
    again = load(elsewhere).recipe
    assert again == recipe
    assert resolved(again) == full
    assert yaml.safe_load(to_yaml(full)) == as_json(full)  # a reader of YAML 1.1 agrees


@REPEATABLE
@given(values=RECIPES)
def test_the_json_schema_accepts_any_valid_recipe(values: dict[str, Any]) -> None:
    VALIDATOR.validate(as_json(values))


@REPEATABLE
@given(values=RECIPES, data=st.data())
def test_a_changed_key_is_reported_by_name(values: dict[str, Any], data: st.DataObject, file: Path) -> None:
    path = data.draw(st.sampled_from([path for path, _ in items(TASKS[values["task"]], values, ())]))
    *above, old = path
    position = data.draw(st.integers(0, len(old)))
    new = old[:position] + "q" + old[position:]
    section = at(values, above)
    section[new] = section.pop(old)
    file.write_text(to_yaml(values), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load(file)
    diagnostics = [diagnostic for diagnostic in caught.value.diagnostics if diagnostic.key == dotted((*above, new))]
    assert len(diagnostics) == 1
    assert diagnostics[0].message.startswith("unknown key; did you mean ")
    assert f"'{old}'" in diagnostics[0].message


@REPEATABLE
@given(values=RECIPES, data=st.data())
def test_a_changed_value_is_reported_by_name(values: dict[str, Any], data: st.DataObject, file: Path) -> None:
    path = data.draw(st.sampled_from([path for path, _ in items(TASKS[values["task"]], values, ())]))
    at(values, path[:-1])[path[-1]] = {"no such": {}}
    file.write_text(to_yaml(values), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load(file)
    assert any(f"{diagnostic.key}.".startswith(f"{dotted(path)}.") for diagnostic in caught.value.diagnostics)
    assert not VALIDATOR.is_valid(as_json(values))


def items(section: type[Section], values: dict[str, Any], path: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    """Every key that is written in a recipe, with its value; the names of class weights are not keys."""
    for key, value in values.items():
        yield (*path, key), value
        for member in union_members(section.model_fields[key].annotation):
            base, _ = split_annotated(member)
            if is_section(base) and isinstance(value, dict):
                if "kind" not in value or value["kind"] in kinds_of(base):
                    yield from items(base, value, (*path, key))
            elif get_origin(base) is tuple and is_section(get_args(base)[0]):
                for i, item in enumerate(value):
                    yield from items(get_args(base)[0], item, (*path, key, i))


def at(values: Any, path: Any) -> Any:
    for part in path:
        values = values[part]
    return values
