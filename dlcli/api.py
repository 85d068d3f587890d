"""dlcli from Python, for notebooks and scripts: what the verbs of the command line do, as functions.

They raise :class:`dlcli.InputError` where the command line prints a line and exits, and print nothing but warnings
unless ``verbose`` is set.
"""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.arguments import check_choice, check_list_of_whole, check_number, check_whole
from dlcli.errors import InputError

if TYPE_CHECKING:
    import keras

    from dlcli.recipe.load import LoadedRecipe
    from dlcli.rundir.directory import RunDir
    from dlcli.runtime.startup import Device
    from dlcli.tasks.predictor import Predictor

__all__ = ["Run", "attack", "evaluate", "load", "resume", "train", "transfer"]

AnyPath = str | PathLike[str]

SPLITS = ("train", "validation", "test")
SHORT_KEYS = {
    "batch_size": "train.batch_size",
    "data": "data.path",
    "epochs": "train.epochs",
    "limit": "data.limit",
    "precision": "train.precision",
    "seed": "train.seed",
}
"""Keys of recipes that have an option of their own on the command line."""


class Run:
    """A run: its results, and its best model, which is loaded when it is first used.

    Attributes:
        path: the run directory.
        name: its name.
    """

    def __init__(self, run: "RunDir", *, device: str = "auto", verbose: bool = False) -> None:
        self._run = run
        self._device = device
        self._verbose = verbose

    def __repr__(self) -> str:
        from dlcli.workflow.headline import headline

        first = headline(self.info)
        return f"<dlcli.Run {self.path}{'' if first is None else f', {first[0]} {first[1]:.4f}'}>"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._run.path

    @property
    def name(self) -> str:
        """The name of the run."""
        return self._run.name

    @property
    def info(self) -> dict[str, Any]:
        """The content of run.json."""
        return self._run.read_info()

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe with every default filled in."""
        recipe: dict[str, Any] = self.info["config"]
        return recipe

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's outputs in their order; empty where there are none."""
        return self._run.read_classes() if self._run.labels.exists() else ()

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics by name, such as ``test_accuracy``; empty before the end of training."""
        from dlcli.workflow.headline import final_metrics

        return final_metrics(self.info)

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch, as in metrics.csv; ``pandas.DataFrame(run.history)`` is a table of them."""
        from dlcli.workflow.train import read_history

        return read_history(self._run)

    @functools.cached_property
    def keras_model(self) -> "keras.Model":
        """The best model: float32, raw samples in and final predictions out.

        Raises:
            InputError: there is no model yet, or it is corrupt.
        """
        self._start()
        from dlcli.workflow.predict import best_model

        return best_model(self._run, console=_console(self._verbose))

    @functools.cached_property
    def predictor(self) -> "Predictor":
        """The best model as a :class:`dlcli.tasks.predictor.Predictor`, for servers.

        Raises:
            InputError: there is no model yet, or the task predicts no samples.
        """
        self._start()
        from dlcli.workflow.predict import open_predictor

        return open_predictor(self._run, console=_console(self._verbose))

    def predict(
        self,
        samples: Any,
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """Predict samples as ``dlcli predict --json`` does. The model is loaded once.

        Args:
            samples: one, or a sequence of them. Images: paths of files and folders, the bytes of files, PIL images,
                arrays ``[height, width]`` or ``[height, width, channels]`` with values in [0, 255]. Texts: strings.
                Series: arrays ``[steps, features]`` and data frames, whose columns are found by name. Tables to
                forecast: paths, the bytes of files, and data frames.
            top: number of classes listed for each sample, for classifiers.
            score: the lowest score of an object; None for the one that the run has chosen.
            beam: hypotheses kept at each decoding step, for tasks that generate text.
            copy_unknown: copy unknown words from the source text by attention, for encoder-decoders.

        Returns:
            A row for each sample: for a classifier ``predicted``, ``confidence`` and ``top``, for other tasks as in the
            guide. A sample that is a file has ``file``, too.

        Raises:
            InputError: the run has no model, or a sample cannot be used; it names the file, or the position.
        """
        from dlcli.workflow.samples import read_samples

        check_whole("top", top, 1)
        check_number("score", score, 0, 1)
        check_whole("beam", beam, 1)
        files, read = read_samples(self.predictor, samples)
        rows = self.predictor.predict(read, top=top, score=score, beam=beam, copy_unknown=copy_unknown)
        return [row if file is None else {"file": file, **row} for file, row in zip(files, rows, strict=True)]

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """As :func:`evaluate` of this run."""
        return evaluate(self, device=self._device, **{"verbose": self._verbose, **options})

    def attack(self, *kinds: str, **options: Any) -> list[dict[str, Any]]:
        """As :func:`attack` of this run."""
        return attack(self, *kinds, device=self._device, **{"verbose": self._verbose, **options})

    def generate(
        self,
        prompt: str = "",
        *,
        label: str | None = None,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        num_samples: int = 1,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Generate text with a language model.

        Args:
            prompt: the beginning of the text; empty to let the model choose one.
            label: the class of the text, for a model trained on texts of several classes.
            length, temperature, top_k, num_samples, seed: as the options of ``dlcli generate``.

        Returns:
            For each text ``text``, the prompt included, and the part that was ``added``.

        Raises:
            InputError: the run has no model, or is not one of a language model.
        """
        if not isinstance(prompt, str):
            raise InputError(f"prompt: must be a string. Received {type(prompt).__name__}.")
        for name, value, least in (("length", length, 1), ("top_k", top_k, 1), ("num_samples", num_samples, 1)):
            check_whole(name, value, least)
        check_number("temperature", temperature, 0)
        check_whole("seed", seed, 0)
        _check_verb(self._run, "generate")
        self._start()
        from dlcli.workflow.generate import GenerationRequest
        from dlcli.workflow.generate import generate as generate_with_run

        request = GenerationRequest(prompt, label, length, temperature, top_k, num_samples, seed)
        samples: list[dict[str, Any]] = generate_with_run(self._run, request, console=_console(self._verbose))[
            "samples"
        ]
        return samples

    def _start(self) -> None:
        _start(self._device)


def load(run: AnyPath | None = None, *, runs: AnyPath = "runs", device: str = "auto", verbose: bool = False) -> Run:
    """Open a run.

    Args:
        run: its name, or the path of its directory; None for the newest run.
        runs: the folder that contains the runs.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``, on which the model computes.
        verbose: print what the command line prints.

    Raises:
        InputError: there is no such run.
    """
    from dlcli.rundir.runs import find_run

    return Run(find_run(Path(runs), None if run is None else str(run)), device=device, verbose=verbose)


def train(
    recipe: Mapping[str, Any] | AnyPath,
    *,
    name: str | None = None,
    runs: AnyPath = "runs",
    device: str = "auto",
    allow_code: bool = False,
    verbose: bool = False,
    **overrides: Any,
) -> Run:
    """Train a new run to the end and evaluate it, as ``dlcli train`` does.

    Args:
        recipe: the path of a recipe, or a recipe as a dictionary, whose paths are relative to the current folder.
        name: of the run directory; None for the recipe's name.
        runs: the folder that contains the runs.
        device: as of ``dlcli train --device``; the first call of a process chooses it.
        allow_code: execute the Python file that ``model.kind: python`` names.
        verbose: print what the command line prints.
        overrides: values of recipe keys, with two underscores for each dot: ``train__epochs=5``. ``epochs``,
            ``batch_size``, ``seed``, ``limit``, ``precision`` and ``data``, a path relative to the current folder, need
            no section.

    Raises:
        InputError: the recipe or its data cannot be used; it has all errors at once, and no run was created.
        CheckFailed: the loss is not finite.
        Interrupted: by Ctrl-C or "interrupt kernel"; a checkpoint is saved, and :func:`resume` continues the run.
    """
    loaded = _load_recipe(recipe, overrides)
    if name is not None:
        from dlcli.rundir.runs import check_name

        check_name(name)
    with _allowed(allow_code):
        return _train(loaded, "train", recipe, overrides, name=name, runs=runs, device=device, verbose=verbose)


def resume(
    run: "Run | AnyPath",
    *,
    runs: AnyPath = "runs",
    device: str = "auto",
    allow_code: bool = False,
    verbose: bool = False,
) -> Run:
    """Resume an interrupted run, as ``dlcli train --resume`` does: the weights and metrics at the end are those of a
    run that was never stopped.

    Raises:
        InputError: the run is complete, in use or corrupt, or its data have changed.
        CheckFailed, Interrupted: as :func:`train`.
    """
    found = _find(run, runs)
    chosen = _start(device)
    from dlcli.workflow import train as workflow

    with _allowed(allow_code), _recorded("dlcli.resume", str(found.path)):
        try:
            workflow.resume(found, device=chosen, console=_console(verbose), given=None)
        finally:
            found.unlock()  # a process of the command line ends where it is refused
    return Run(found, device=device, verbose=verbose)


def transfer(
    base: str,
    *,
    data: AnyPath | None = None,
    task: str = "classification",
    head: str = "linear",
    unfreeze: str | int | None = None,
    fine_tune_epochs: int | None = None,
    augment: str | None = None,
    weights: str | None = None,
    name: str | None = None,
    runs: AnyPath = "runs",
    device: str = "auto",
    verbose: bool = False,
    **overrides: Any,
) -> Run:
    """Put a new head on a trained network, train it, then fine-tune, as ``dlcli transfer`` does.

    Args:
        base: a network of keras.applications, such as ``resnet50``; ``run:NAME``; or a .keras file.
        data: a folder or file; None for the class folders in the current folder, or the bundled digits.
        task, head, unfreeze, fine_tune_epochs, augment: as the options of ``dlcli transfer``; None for its defaults.
        weights: of the base: ``imagenet``, ``none`` or a file; None for ``imagenet``.
        name, runs, device, verbose, overrides: as of :func:`train`.

    Raises:
        InputError, CheckFailed, Interrupted: as :func:`train`.
    """
    from dlcli.workflow.transfer import DEFAULTS, find_base, find_data, make_plan, transfer_recipe

    if task not in DEFAULTS:
        raise InputError(f"task: expected one of {', '.join(DEFAULTS)}. Received '{task}'.")
    network = find_base(base, runs=Path(runs), device=device)
    section, _ = find_data(None if data is None else Path(data), network, task=task)
    plan = make_plan(
        task=task,
        head=head,
        unfreeze=None if unfreeze is None else str(unfreeze),
        fine_tune_epochs=None if fine_tune_epochs is None else str(fine_tune_epochs),
        augment=augment,
        is_digits=section["kind"] == "digits",
    )
    key = "model.weights" if DEFAULTS[task].network is None else "model.backbone.weights"
    if weights is not None:
        is_word = weights in ("imagenet", "none") or weights.startswith("run:")
        overrides = {key: weights if is_word else Path(weights).expanduser().absolute(), **overrides}
    called = f"dlcli.transfer({base!r})"
    loaded = transfer_recipe(network, section, plan, _overrides(overrides), command=called)
    return _train(loaded, "transfer", base, overrides, name=name, runs=runs, device=device, verbose=verbose)


def evaluate(
    run: "Run | AnyPath | None" = None,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    data: AnyPath | None = None,
    beam: int = 1,
    copy_unknown: bool = False,
    calibrate: bool = False,
    top_k: Sequence[int] = (),
    tta: Literal["flip", "crops", "flip+crops"] | None = None,
    runs: AnyPath = "runs",
    device: str = "auto",
    verbose: bool = False,
) -> dict[str, Any]:
    """Evaluate the best model of a run and write ``evaluation/<split>/``, as ``dlcli evaluate`` does.

    Args:
        run: a run, its name or path; None for the newest one.
        split: None for test, or validation if there is none.
        data: a recipe, folder or file to evaluate on instead of the run's own data, or the URL of shards.
        beam, copy_unknown, calibrate, top_k, tta: as the options of ``dlcli evaluate``.

    Returns:
        The metrics, with ``run``, ``split`` and ``folder``.

    Raises:
        InputError: the run has no model, the data cannot be used, or the task has no such option.
    """
    check_choice("split", split, SPLITS)
    check_choice("tta", tta, ("flip", "crops", "flip+crops"))
    check_whole("beam", beam, 1)
    check_list_of_whole("top_k", top_k, 1)
    found = _find(run, runs)
    given = {
        "--beam": beam != 1,
        "--calibrate": calibrate,
        "--copy-unknown": copy_unknown,
        "--data": data is not None,
        "--split": split not in (None, "test"),
        "--top-k": bool(top_k),
        "--tta": tta is not None,
    }
    _check_verb(found, "evaluate", given)
    _start(device)
    from dlcli.workflow.evaluate import EvaluationRequest
    from dlcli.workflow.evaluate import evaluate as evaluate_run
    from dlcli.workflow.other_data import find_other_data

    console = _console(verbose)
    other = find_other_data(None if data is None else os.fspath(data), found, console)
    request = EvaluationRequest(
        split,
        other.path,
        beam,
        top_k=tuple(top_k),
        calibrate=calibrate,
        views=tta,
        copy_unknown=copy_unknown,
        url=other.url,
    )
    return evaluate_run(found, request, console=console)


def attack(
    run: "Run | AnyPath | None" = None,
    *kinds: str,
    eps: str | float | Sequence[str | float] | None = None,
    norm: Literal["linf", "l2"] | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    target: str | int | None = None,
    split: Literal["train", "validation", "test"] | None = None,
    data: AnyPath | None = None,
    limit: int | None = None,
    seed: int = 0,
    checks: bool = True,
    runs: AnyPath = "runs",
    device: str = "auto",
    verbose: bool = False,
) -> list[dict[str, Any]]:
    """Attack the best model of a run with adversarial examples, as ``dlcli attack`` does.

    Args:
        run: a run of an image classifier, its name or path; None for the newest one.
        kinds: the attacks, such as ``fgsm`` and ``pgd``; see ``dlcli attack --help``.
        eps: budgets as fractions of the pixel range: ``0.03``, ``"8/255"``, or a list; None for several by the norm.
        norm, steps, restarts, target, split, data, limit, seed: as the options of ``dlcli attack``.
        checks: also check whether the attack can be trusted.

    Returns:
        For each attack the content of its attack.json, with ``rows``: one for each budget, with ``robust_accuracy``;
        and ``folder``, where the results were written.

    Raises:
        InputError: an option or the data cannot be used, or the run is not one of an image classifier.
    """
    from dlcli.workflow.attack.request import Request
    from dlcli.workflow.attack.settings import Settings

    if not kinds:
        raise InputError("kinds: name one or more attacks, such as fgsm or pgd. Received none.")
    for name, value, least in (("steps", steps, 1), ("restarts", restarts, 1), ("limit", limit, 1), ("seed", seed, 0)):
        check_whole(name, value, least)
    check_choice("norm", norm, ("linf", "l2"))
    check_choice("split", split, SPLITS)
    found = _find(run, runs)
    budgets = [eps] if isinstance(eps, str | int | float) else eps
    settings = Settings(
        kinds,  # type: ignore[arg-type]  # they are checked
        norm=norm,
        eps=None if budgets is None else ",".join(map(str, budgets)),
        steps=steps,
        restarts=restarts,
        target=None if target is None else str(target),
        seed=seed,
        with_checks=checks,
    )
    settings.check()
    request = Request(
        run=str(found.path),
        runs=Path(runs),
        data=None if data is None else Path(data),
        split=split,
        limit=limit,
        input_range=None,
        classes=None,
        transfer_to=None,
        transfer_input_range=None,
        has_logits=False,
        target=settings.target,
    )
    request.check()
    _start(device)
    from dlcli.workflow.attack.attacks import attacks

    with _recorded("dlcli.attack", str(found.path), *kinds):
        return list(attacks(request, settings, _console(verbose)))


# Parts ----------------------------------------------------------------------------------------------------------------


def _train(
    loaded: "LoadedRecipe",
    verb: str,
    source: Any,
    overrides: Mapping[str, Any],
    *,
    name: str | None,
    runs: AnyPath,
    device: str,
    verbose: bool,
) -> Run:
    chosen = _start(device)
    from dlcli.rundir.directory import RunDir
    from dlcli.workflow.train import train as train_run

    shown = "recipe" if isinstance(source, Mapping) else str(source)
    with _recorded(f"dlcli.{verb}", shown, *(f"{key}={value}" for key, value in overrides.items())):
        result = train_run(loaded, runs=Path(runs), name=name, device=chosen, console=_console(verbose))
    return Run(RunDir(Path(result["run"])), device=device, verbose=verbose)


def _load_recipe(recipe: Mapping[str, Any] | AnyPath, overrides: Mapping[str, Any]) -> "LoadedRecipe":
    from dlcli.recipe.load import load as load_recipe
    from dlcli.recipe.load import load_text

    if not isinstance(recipe, Mapping | str | PathLike):
        raise InputError(f"recipe: expected a path or a dictionary. Received {type(recipe).__name__}.")
    if not isinstance(recipe, Mapping):
        return load_recipe(Path(recipe), _overrides(overrides))
    from dlcli.recipe.yaml_writer import to_yaml

    return load_text(to_yaml(_plain(recipe, "recipe")).encode(), Path("recipe"), _overrides(overrides))


def _overrides(values: Mapping[str, Any]) -> list[Any]:
    """The overrides of recipe keys by keyword arguments.

    Raises:
        InputError: a value is nothing that a recipe can hold.
    """
    from dlcli.recipe.language.overrides import Override
    from dlcli.recipe.yaml_writer import to_yaml

    found = []
    for name, value in values.items():
        key = SHORT_KEYS.get(name, name.replace("__", "."))
        plain = _plain(Path(value).expanduser().absolute() if name == "data" else value, name)
        origin = f"{name}={value!r}"[:200]
        if isinstance(plain, str):
            found.append(Override.of_value(key, plain, origin))
        else:
            text = "" if plain is None else to_yaml({"value": plain}, on_one_line=True).strip()
            found.append(Override(key, text.removeprefix("{value: ").removesuffix("}"), origin))
    return found


def _plain(value: Any, name: str) -> Any:
    """A value as a recipe holds it: tuples for lists, text for paths, and Python's numbers for NumPy's.

    Raises:
        InputError: there is no such value in YAML.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(item, name) for item in value)
    if isinstance(value, PathLike):
        return str(value)
    if type(value).__module__ == "numpy":
        return _plain(value.tolist(), name)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"{name}: a recipe holds text, numbers, lists and sections. Received {type(value).__name__}.")


def _find(run: "Run | AnyPath | None", runs: AnyPath) -> "RunDir":
    from dlcli.rundir.runs import find_run

    return run._run if isinstance(run, Run) else find_run(Path(runs), None if run is None else str(run))


def _check_verb(run: "RunDir", verb: str, given: Mapping[str, bool] | None = None) -> None:
    """Refuse a verb or an option that the run's task does not support."""
    from dlcli.recipe.load import load as load_recipe
    from dlcli.recipe.support import check_options, check_verb

    recipe = load_recipe(run.config).recipe
    check_verb(recipe, str(run.path), verb)
    check_options(recipe, str(run.path), {option for option, is_given in (given or {}).items() if is_given})


def _start(device: str) -> "Device":
    """Start TensorFlow, if it is not started yet.

    Raises:
        InputError: there is no such device, or this process already uses TensorFlow, or Keras, in another way.
    """
    from dlcli.runtime.devices import parse_device
    from dlcli.runtime.startup import start_tensorflow

    try:
        parse_device(device)
    except ValueError as error:
        raise InputError(f"device: {error}. Received '{device}'.") from None
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras: dlcli uses its backend tensorflow. Received {keras.backend.backend()}: restart Python, and import "
            "dlcli before Keras, or set KERAS_BACKEND=tensorflow."
        )
    try:
        return start_tensorflow(device)
    except RuntimeError as error:  # TensorFlow cannot change devices that are in use
        raise InputError(
            f"device {device}: TensorFlow is already in use in this process ({error}). Restart Python, and call dlcli "
            "first."
        ) from None


def _allowed(allow_code: bool) -> contextlib.AbstractContextManager[None]:
    """A context in which a user's own code may be executed, if that is allowed."""
    from dlcli.runtime.user_code import allowed_code

    return allowed_code() if allow_code else contextlib.nullcontext()


def _console(verbose: bool) -> Any:
    from dlcli.runtime.console import Console

    return Console(quiet=not verbose)


@contextlib.contextmanager
def _recorded(*call: str) -> Iterator[None]:
    """A context in which what is written records this call as its command."""
    from dlcli.workflow.train import CALL

    token = CALL.set(list(call))
    try:
        yield
    finally:
        CALL.reset(token)
