"""Reads the samples that the ``data`` section of a sequence task names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlcli.data.listing import NO_ALIASES
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.long_table import read_sequence_csv
from dlcli.data.series.npz import read_sequence_npz
from dlcli.data.series.ts_archive import read_ts
from dlcli.data.synthetic.adding_problem import make_adding
from dlcli.data.table import SUFFIXES
from dlcli.data.text.json_lines import JSON_LINES
from dlcli.data.text.labeled import read_text_csv, read_text_files, read_text_jsonl, read_text_lines
from dlcli.data.text.tagged import read_columns, read_conllu
from dlcli.data.text.tagged_json import read_tagged_json
from dlcli.data.text.targets import TargetFiles, read_text_labels, read_text_numbers
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.recipe.load import LoadedRecipe, NumberRecipe
from dlcli.recipe.sections.series_data import (
    Adding,
    ClassifiedSequences,
    MeasuredSequences,
    RegressionCsv,
    RegressionTs,
    SequenceCsv,
    SequenceNpz,
    SequenceTable,
    SequenceTs,
)
from dlcli.recipe.sections.table_data import SplitFiles
from dlcli.recipe.sections.text_data import LabeledTexts, TextCsv, TextFiles, TextJsonl, TextLines, TextTable
from dlcli.recipe.sections.text_targets import (
    LabelColumns,
    LabelTexts,
    NumberColumns,
    NumberTexts,
    TextLabelsCsv,
    TextLabelsJsonl,
    TextNumbersCsv,
    TextNumbersJsonl,
)
from dlcli.recipe.tasks.tagging import Columns, Conllu, TaggedFiles, TaggedJson
from dlcli.rundir.directory import RunDir
from dlcli.tasks.split_keys import split_keys

AnyTexts = LabeledTexts | LabelTexts | NumberTexts
AnySequences = AnyTexts | ClassifiedSequences | MeasuredSequences | Conllu | Columns | TaggedJson
TEXTS = (TextCsv, TextJsonl, TextLines, TextFiles)


def open_sequences(loaded: LoadedRecipe, section: AnySequences) -> SequenceDataset:
    """Read a recipe's data.

    Raises:
        InputError: the data cannot be used; a missing path is located in the recipe.
    """
    loaded.check_data_path()
    return read_sequences(section, goal=goal_of(loaded))


def goal_of(loaded: LoadedRecipe) -> Any:
    """What is predicted for each sample: a class (or labels) or a value."""
    return "value" if isinstance(loaded.recipe, NumberRecipe) else "class"


def read_sequences(
    section: AnySequences,
    *,
    goal: Any,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
) -> SequenceDataset:
    """Read the data of a ``data`` section.

    Args:
        goal: class or value.
        classes: of a trained model, in the order of its outputs, by which labels are numbered; None to find them.
        aliases: other names of these classes.
        num_features: of each step, for a trained model.

    Raises:
        InputError: the data cannot be used.
    """
    common = split_keys(section)
    trained: dict[str, Any] = {"classes": classes, "aliases": aliases}
    series = trained | {"num_features": num_features, "exclude": section.exclude}
    match section:
        case TextCsv():
            return read_text_csv(
                **_of_texts(section), **_columns(section), columns=section.columns, **trained, **common
            )
        case TextJsonl():
            return read_text_jsonl(**_of_texts(section), **_columns(section), **trained, **common)
        case TextLines():
            return read_text_lines(**_of_texts(section), **_below(section), **trained, **common)
        case TextFiles():
            return read_text_files(**_of_texts(section), **_below(section), **trained, **common)
        case TextLabelsCsv() | TextLabelsJsonl():
            return read_text_labels(
                _target_files(section),
                labels=section.labels,
                label=section.label,
                separator=getattr(section, "separator", None),
                on_missing=section.on_missing,
                classes=classes,
                common=common,
            )
        case TextNumbersCsv() | TextNumbersJsonl():
            return read_text_numbers(
                _target_files(section),
                target=section.target,
                on_missing=section.on_missing,
                decimal=getattr(section, "decimal", None),
                common=common,
            )
        case SequenceNpz():
            return read_sequence_npz(path=section.path, goal=goal, **series, **common)
        case SequenceCsv():
            return read_sequence_csv(goal_column=section.label, goal=goal, **_steps(section), **series, **common)
        case RegressionCsv():
            return read_sequence_csv(goal_column=section.target, goal=goal, **_steps(section), **series, **common)
        case SequenceTs() | RegressionTs():
            return read_ts(path=section.path, **_split_files(section), goal=goal, **series, **common)
        case Conllu():
            return read_conllu(column=section.column, **_of_texts(section), **_files(section), **trained, **common)
        case Columns():
            return read_columns(**_of_texts(section), **_files(section), **trained, **common)
        case TaggedJson():
            return read_tagged_json(
                words=section.words,
                tags=section.tags,
                **_of_texts(section),
                **_files(section),
                **trained,
                **common,
            )
        case Adding():
            return make_adding(
                length=section.length,
                num_samples=section.num_samples,
                seed=section.seed,
                exclude=section.exclude,
                **common,
            )


def _files(section: TaggedFiles) -> dict[str, Any]:
    return {key: getattr(section, key) for key in ("validation_path", "test_path", "exclude")}


def _of_texts(section: LabeledTexts | TaggedFiles) -> dict[str, Any]:
    return {"path": section.path, "encoding": section.encoding}


def _below(section: TextLines | TextFiles) -> dict[str, Any]:
    return {"exclude": section.exclude, "folders": section.folders}


def _columns(section: TextTable) -> dict[str, Any]:
    keys = ("text", "label", "split", "group", "exclude")
    return {key: getattr(section, key) for key in keys} | _split_files(section)


def _target_files(section: LabelTexts | NumberTexts) -> TargetFiles:
    return TargetFiles(
        path=Path(section.path),
        is_json=section.kind == "jsonl",
        text=section.text,
        split=section.split,
        group=section.group,
        encoding=section.encoding,
        columns=getattr(section, "columns", None),
        exclude=section.exclude,
        **_split_files(section),
    )


def _split_files(section: SplitFiles) -> dict[str, Any]:
    return {"validation_path": section.validation_path, "test_path": section.test_path}


def _steps(section: SequenceTable) -> dict[str, Any]:
    keys = ("path", "sequence", "time", "features", "split", "group", "decimal")
    return {key: getattr(section, key) for key in keys} | _split_files(section) | {"names": section.columns}


# Other data than a run's own ------------------------------------------------------------------------------------------


def other_data(
    data: Path, own: AnySequences, run: RunDir, section_of: Callable[[Path], AnySequences], *, goal: Any
) -> SequenceDataset:
    """Read data other than a run's own, with the classes of its model.

    Args:
        own: the ``data`` section of the run.
        section_of: reads the ``data`` section of a recipe.
        goal: class or value.
    """
    section = section_of(data) if data.suffix.lower() in (".yaml", ".yml") else section_for(data, own, goal=goal)
    info = run.read_info()["data"]
    scale, features = info.get("scale"), info.get("features")
    if isinstance(section, SequenceTable) and section.features is None and features:
        section = section.model_copy(update={"features": tuple(features)})  # columns are matched by name
    return read_sequences(
        section,
        goal=goal,
        classes=run.read_classes() if goal == "class" else None,
        aliases=run.read_aliases() if goal == "class" else NO_ALIASES,
        num_features=None if scale is None else len(scale["mean"]),
    )


def section_for(path: Path, trained_on: AnySequences, *, goal: Any) -> AnySequences:
    """A ``data`` section that reads a file or folder like a trained model's data, without dividing them.

    Raises:
        InputError: the path is none of these.
    """
    common: dict[str, Any] = {
        "path": str(path.absolute()),
        "validation": 0.0,
        "test": 0.0,
        "allow_leakage": True,
    }
    if isinstance(trained_on, LabelColumns | NumberColumns):
        return _targets_for(path, trained_on, common)
    if isinstance(trained_on, TEXTS):
        return _texts_for(path, trained_on, common | {"encoding": trained_on.encoding})
    if isinstance(trained_on, TaggedFiles):
        common["encoding"] = trained_on.encoding
        if suffix_of(path) == ".conllu":
            column = trained_on.column if isinstance(trained_on, Conllu) else "upos"
            return Conllu(kind="conllu", column=column, **common)
        if suffix_of(path) in JSON_LINES:
            if isinstance(trained_on, TaggedJson):
                common |= {"words": trained_on.words, "tags": trained_on.tags}
            return TaggedJson(kind="jsonl", **common)
        return Columns(kind="columns", **common)
    if suffix_of(path) == ".npz":
        return SequenceNpz(kind="npz", **common)
    if suffix_of(path) == ".ts":
        return RegressionTs(kind="ts", **common) if goal == "value" else SequenceTs(kind="ts", **common)
    if suffix_of(path) == ".csv":
        keys = ("sequence", "time", "features", "split", "label", "target", "columns", "decimal")
        common |= {key: getattr(trained_on, key) for key in keys if hasattr(trained_on, key)}
        return RegressionCsv(kind="csv", **common) if goal == "value" else SequenceCsv(kind="csv", **common)
    raise InputError(f"{path}: expected a recipe, a .csv, an .npz or a .ts.")


def _texts_for(path: Path, trained_on: LabeledTexts, common: dict[str, Any]) -> LabeledTexts:
    columns: dict[str, Any] = {}
    if isinstance(trained_on, TextTable):
        columns = {key: getattr(trained_on, key) for key in ("text", "label", "split")}
    if isinstance(trained_on, (TextLines, TextFiles)) and path.is_dir():
        common |= {"exclude": trained_on.exclude, "folders": trained_on.folders}
    if path.is_dir():
        if isinstance(trained_on, TextFiles) or (not isinstance(trained_on, TextLines) and _has_folders(path)):
            return TextFiles(kind="files", **common)
        return TextLines(kind="lines", **common)
    if suffix_of(path) in (".csv", ".tsv"):
        names = trained_on.columns if isinstance(trained_on, TextCsv) else None
        return TextCsv(kind="csv", **common, **columns, columns=names)
    if suffix_of(path) in (".jsonl", ".ndjson"):
        return TextJsonl(kind="jsonl", **common, **columns)
    raise InputError(f"{path}: expected a recipe, a .csv, .tsv or .jsonl, or a folder of classes.")


def _targets_for(path: Path, trained_on: LabelTexts | NumberTexts, common: dict[str, Any]) -> AnySequences:
    keys = ("encoding", "text", "split", "labels", "label", "target", "on_missing")
    common |= {key: getattr(trained_on, key) for key in keys if hasattr(trained_on, key)}
    schemas: dict[str, Any] = {"csv": TextLabelsCsv, "jsonl": TextLabelsJsonl}
    if isinstance(trained_on, NumberColumns):
        schemas = {"csv": TextNumbersCsv, "jsonl": TextNumbersJsonl}
    if suffix_of(path) in JSON_LINES or (path.is_dir() and trained_on.kind == "jsonl"):
        return schemas["jsonl"](kind="jsonl", **common)  # type: ignore[no-any-return]
    if suffix_of(path) not in SUFFIXES and not path.is_dir():
        raise InputError(f"{path}: expected a recipe, a .csv, .tsv or .jsonl.")
    common |= {key: value for key in ("columns", "separator", "decimal") if (value := getattr(trained_on, key, None))}
    if common.get("label") is not None and "separator" not in common:
        raise InputError(f"{path}: lists of labels in a table need data.separator. Give a recipe with this data.")
    return schemas["csv"](kind="csv", **common)  # type: ignore[no-any-return]


def _has_folders(path: Path) -> bool:
    return any(entry.is_dir() for entry in path.iterdir())
