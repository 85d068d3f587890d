"""Which verbs and options each task supports, and the refusal of the others: it needs no TensorFlow."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from dlcli.errors import InputError
from dlcli.recipe.language.wording import listed
from dlcli.recipe.load import TASKS, LoadedRecipe
from dlcli.recipe.tasks.base import EXPLANATION_OPTIONS, TaskRecipe

MAX_NAMED = 3  # tasks in a message; a longer list says little

VERBS = frozenset(
    {
        *(
            "train",
            "search",
            "evaluate",
            "predict",
            "embed",
            "generate",
            "serve",
            "attack",
            "explain",
            "export",
            "summary",
        ),
        *("data check", "data pack", "data preview", "data stats", "data split"),
    }
)
"""The verbs that work on the recipe or the run of a task."""

OPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "--beam": ("decodes no text", "Remove the option."),
        "--calibrate": ("predicts no class probabilities", "Remove the option."),
        "--copy-unknown": ("copies no tokens from source texts", "Remove the option."),
        "--crops": ("predicts no objects", "Remove the option."),
        "--data": ("has no other data to be evaluated on", "Remove the option."),
        "--draw": ("predicts neither boxes nor masks", "Remove the option."),
        "--input": ("takes {samples}", "Leave --input and --classes out; the shape is read from the data."),
        "--masks": ("predicts no masks", "Remove the option."),
        "--output FILE.npz": ("predicts no probabilities of whole samples", "Name a .csv or .json file."),
        "--plot": ("has no objects to be counted", "Remove the option."),
        "--pixel-size": ("predicts no areas", "Remove the option."),
        "--probabilities": ("predicts no class probabilities", "Remove the option."),
        "--score": ("predicts no objects", "Remove the option."),
        "--split": ("has one split to be evaluated on", "Remove the option."),
        "--top": ("predicts no class probabilities", "Remove the option."),
        "--top-k": ("predicts no class probabilities", "Remove the option."),
        "--tta": ("does not classify whole images", "Remove the option."),
        "--text": ("takes {samples}", "Name files instead."),
    }
)
"""The options that some task lacks: why a run or recipe of such a task cannot use it, and what to do instead."""


def check_verb(recipe: TaskRecipe, place: str, verb: str) -> None:
    """Refuses a verb that a recipe's task does not support.

    Args:
        recipe: the recipe, of a file or of a run.
        place: what the user named, for the message: the run's folder, or the recipe's ``file:line:column``.
        verb: one of VERBS, such as ``predict``.

    Raises:
        InputError: names the tasks that support the verb, and what to do instead.
    """
    if verb in recipe.verbs:
        return
    supporting = [task for task, schema in TASKS.items() if verb in schema.verbs]
    reason = (
        f"only {listed(supporting, 'and')}" if len(supporting) <= MAX_NAMED else f"whose samples are {recipe.samples}"
    )
    remedy = recipe.instead.get(verb, "")
    raise InputError(f"{place}: dlcli {verb} does not support task: {recipe.task}, {reason}. {remedy}".rstrip())


def check_options(recipe: TaskRecipe, place: str, given: Collection[str]) -> None:
    """Refuses an option that means nothing for a recipe's task.

    Args:
        recipe: the recipe, of a file or of a run.
        place: what the user named, for the message: the run's folder or the recipe's file.
        given: the options of the command line, such as ``--beam``; those that every task supports are ignored.

    Raises:
        InputError: the first option of OPTIONS that is given and not supported, why, and what to do instead.
    """
    for option, (reason, remedy) in OPTIONS.items():
        if option in given and option not in recipe.options:
            reason = reason.format(samples=recipe.samples)
            remedy = recipe.instead.get(option, remedy)
            raise InputError(f"{option}: {place} {reason}: its task is {recipe.task}. {remedy}")


def check_explanation(recipe: TaskRecipe, place: str, methods: Collection[str], given: Collection[str]) -> None:
    """Refuses a method or an option of ``dlcli explain`` that means nothing for a recipe's task.

    Args:
        recipe: the recipe of a run.
        place: the run's folder, for the message.
        methods: the values of ``--method``.
        given: the other options of the command line, such as ``--layer``.

    Raises:
        InputError: the first that is not supported, and what to do instead.
    """
    known = recipe.explanation_methods
    for method in methods:
        if method not in ("auto", *known):
            use = f"Use {listed(['auto', *known], 'or')}." if known else "Remove the option."
            raise InputError(f"--method {method}: does not explain {place}: its task is {recipe.task}. {use}")
    for option in sorted(EXPLANATION_OPTIONS - recipe.explanation_options):
        if option in given:
            remedy = recipe.instead.get(f"explain {option}", "Remove the option.")
            raise InputError(
                f"{option}: does not apply to explanations of {place}: its task is {recipe.task}. {remedy}"
            )


def check_folds(loaded: LoadedRecipe) -> None:
    """Refuses cross-validation of data that have no folds.

    Raises:
        RecipeError: located at ``data``.
    """
    if "fold" not in type(loaded.recipe.data).model_fields:
        raise loaded.error(
            "data",
            "--folds is for data that are divided by samples, and for forecasts. These are one long text, or are drawn "
            "anew in each epoch. Use --seeds",
        )
