"""Reads the texts of a language-model recipe and makes batches of them."""

from pathlib import Path

import numpy as np

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.corpus import LongTexts, Passage, read_long_text
from dlcli.data.text.labeled import read_line_file, read_text_lines
from dlcli.data.text.vocabulary import END, Vocabulary
from dlcli.data.text.windows import TextWindows, one_after_another, overlapping, side_by_side
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageRecurrent, LongText, ManyLines
from dlcli.tasks.sequences.tokens import encode_texts
from dlcli.tasks.split_keys import split_keys

Texts = LongTexts | SequenceDataset
Batches = TextWindows | SequenceBatches


def open_texts(loaded: LoadedRecipe, section: LongText | ManyLines) -> Texts:
    """Read a recipe's data.

    Raises:
        InputError: the data cannot be used; a missing path is located in the recipe.
    """
    loaded.check_data_path()
    return read_texts(section)


def read_texts(section: LongText | ManyLines, classes: tuple[str, ...] | None = None) -> Texts:
    """Read the data of a ``data`` section.

    Args:
        classes: of a trained model, in the order of its start tokens; None to find them.

    Raises:
        InputError: the data cannot be used.
    """
    if isinstance(section, LongText):
        return read_long_text(
            path=section.path,
            validation_path=section.validation_path,
            test_path=section.test_path,
            validation=section.validation,
            test=section.test,
            encoding=section.encoding,
        )
    common = split_keys(section)
    others = {"validation_path": section.validation_path, "test_path": section.test_path}
    if Path(section.path).is_dir():
        for key, other in others.items():
            if other is not None:
                raise InputError(f"{section.path}: data.{key} is for a file of lines. Received a folder: remove it.")
        return read_text_lines(
            path=section.path,
            encoding=section.encoding,
            exclude=section.exclude,
            folders=section.folders,
            classes=classes,
            least=1,
            **common,
        )
    return read_line_file(path=section.path, encoding=section.encoding, exclude=section.exclude, **others, **common)


def start_tokens_of(dataset: Texts) -> tuple[str, ...]:
    """The names of the start tokens: one for each class, a single empty one without classes, none for one long text."""
    return () if isinstance(dataset, LongTexts) else dataset.classes


def text_batches(
    loaded: LoadedRecipe, recipe: LanguageModel, vocabulary: Vocabulary, part: Passage | Sequences, *, in_training: bool
) -> Batches:
    """Make the batches of a split.

    Raises:
        RecipeError: one long text is too short; located at ``data``.
    """
    if isinstance(part, Sequences):
        return line_batches(recipe, vocabulary, part, in_training=in_training)
    ids = passage_ids(recipe, vocabulary, part)
    least = recipe.train.batch_size if is_stateful(recipe) else 1
    if len(ids) <= least:
        why = ", because model.stateful reads it at train.batch_size positions at once" if least > 1 else ""
        raise loaded.error(
            "data",
            f"{part.place}: must have more than {least:,} {recipe.text.unit}{why}. Received {len(ids):,}; use a longer "
            "text, or another data.validation or data.test",
        )
    return window_batches(recipe, ids, in_training=in_training)


def is_stateful(recipe: LanguageModel) -> bool:
    """Whether training carries states from batch to batch."""
    return isinstance(recipe.model, LanguageRecurrent) and recipe.model.stateful


def passage_ids(recipe: LanguageModel, vocabulary: Vocabulary, passage: Passage) -> np.ndarray:
    """The token ids of a passage, int32 ``[n]``."""
    return encode_texts([passage.text], recipe.text, vocabulary, is_cut=False).flat


def window_batches(recipe: LanguageModel, ids: np.ndarray, *, in_training: bool) -> TextWindows:
    """The windows of a text: shuffled in training, overlapping in evaluation; for stateful models, parallel streams."""
    window, size = recipe.text.max_length, recipe.train.batch_size
    if is_stateful(recipe):
        places = side_by_side(len(ids), window=window, streams=size)
        return TextWindows(ids, window=window, batch_size=size, places=places, is_carried=True)
    if in_training:
        places = one_after_another(len(ids), window=window)
        return TextWindows(ids, window=window, batch_size=size, places=places, seed=recipe.train.seed)
    return TextWindows(ids, window=window, batch_size=size, places=overlapping(len(ids), window=window))


def line_batches(
    recipe: LanguageModel,
    vocabulary: Vocabulary,
    samples: Sequences,
    *,
    chosen: np.ndarray | None = None,
    in_training: bool,
) -> SequenceBatches:
    """Batches of texts: as inputs, each text after its start token; as targets, the text followed by the end token."""
    index = np.arange(len(samples)) if chosen is None else chosen
    assert samples.texts is not None
    ids = encode_texts([samples.texts[i] for i in index], recipe.text, vocabulary)
    max_length = recipe.text.max_length
    inputs = [np.array([vocabulary.size + samples.labels[i], *ids[row]], np.int32) for row, i in enumerate(index)]
    targets = [np.array([*ids[row], END], np.int32) for row in range(len(index))]
    return SequenceBatches(
        inputs=Ragged.join(inputs).cut(max_length),
        targets={"tags": Ragged.join(targets).cut(max_length)},
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed if in_training else None,
    )
