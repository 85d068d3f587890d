"""The base of every task's schema: the keys that all tasks share, and what the command line needs to know of a task."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from dlcli.recipe.language.fields import RunName, Section
from dlcli.recipe.sections.sweep import Sweep

SEQUENCE_VERBS = frozenset(
    (
        *("train", "evaluate", "predict", "serve", "explain", "export", "summary"),
        *("data check", "data stats", "data split"),
    )
)
"""The verbs of most tasks on texts and series."""

CLASSIFIER_OPTIONS = frozenset(("--calibrate", "--output FILE.npz", "--probabilities", "--top", "--top-k"))
"""The options of `dlcli.recipe.support.OPTIONS` that mean something for every task with one class for each sample."""

IMAGE_EXPLANATION_OPTIONS = frozenset(("--baseline", "--check", "--class", "--features", "--layer", "--steps"))
"""The options of ``dlcli explain`` that mean something for most tasks on images."""
EXPLANATION_OPTIONS = IMAGE_EXPLANATION_OPTIONS | {
    *("--gates", "--gradient-norms", "--mistakes", "--object", "--target", "--text"),
}
"""The options of ``dlcli explain`` that some task lacks."""

STEP_METHODS = ("integrated", "gradient-x-input", "leave-one-out")
"""The values of ``dlcli explain --method`` that explain an output by the steps of a sequence."""
SERIES_METHODS = ("integrated", "gradient-x-input")
"""The same, for steps by columns."""


Prediction = Literal["classes", "box", "objects", "value", "numbers", "labels", "tags", "steps", "masks"]
"""What ``dlcli predict`` shows of a sample: the most probable classes; these and a box; any number of objects; one
value or text; several numbers by name; the labels that apply; a tag for each word; a row for each step; or the area of
each class."""


class TaskRecipe(Section):
    """The keys of every recipe.

    The class attributes say what the task supports, so that a verb or option can be refused before TensorFlow starts;
    see :mod:`dlcli.recipe.support`.
    """

    samples: ClassVar[str]
    """What the task's models take, for messages: ``images or arrays``, ``tables``."""
    verbs: ClassVar[frozenset[str]]
    """The verbs of `dlcli.recipe.support.VERBS` that work on the task's recipes and runs."""
    options: ClassVar[frozenset[str]]
    """The options of `dlcli.recipe.support.OPTIONS` that mean something for the task."""
    instead: ClassVar[Mapping[str, str]] = MappingProxyType({"generate": "Use dlcli predict."})
    """What to do instead of a verb or an option that the task lacks, as a sentence, where there is something; for an
    option of ``dlcli explain``, after its name: ``explain --check``."""
    explanation_options: ClassVar[frozenset[str]] = IMAGE_EXPLANATION_OPTIONS
    """The options of `EXPLANATION_OPTIONS` that mean something for the task, if it supports the verb."""
    explanation_methods: ClassVar[tuple[str, ...]] = (
        *("gradient", "smoothgrad", "integrated", "gradcam", "gradcam++", "occlusion", "guided"),
    )
    """The values of ``dlcli explain --method`` that the task supports besides auto, if any; by default, of images."""
    prediction: ClassVar[Prediction] = "value"
    """What the rows of a prediction hold; ``dlcli.cli.predict`` has a form for each."""
    named_by: ClassVar[Literal["file", "text"]] = "file"
    """What names a sample where its prediction is shown."""
    reads_lines: ClassVar[bool] = False
    """Whether a line of stdin is a sample, which ``dlcli predict RUN -`` predicts as it arrives."""
    headline: ClassVar[str]
    """The metric of an evaluation that people look for first, without the split: ``accuracy``."""
    special_headline: ClassVar[str | None] = None
    """The metric that comes first instead in evaluations that have it, such as ``entity_f1`` where tags mark entities;
    what the baseline reaches in it has its name after ``baseline_``."""
    beside_headline: ClassVar[str | None] = None
    """A metric without which the headline cannot be understood, such as the proportion of unknown tokens."""
    baselines: ClassVar[tuple[str, ...]] = ()
    """The metrics of an evaluation that say what baselines reach in the headline, without the split."""

    task: str
    """The task, which selects the schema of the recipe."""
    name: RunName | None = None
    """Name of the run's folder. Default: the recipe's file name without its suffix."""
    sweep: Sweep | None = None
    """Which keys `dlcli sweep` varies; other verbs ignore it."""
