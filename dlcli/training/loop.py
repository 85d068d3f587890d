"""The training loop: stages of epochs, validation, checkpoints, and exact resumption after any interruption.

The loop knows nothing of recipes or tasks. The caller provides, for each stage, a model with an objective and the data;
the loop writes metrics.csv and checkpoints to the run directory.
"""

import contextlib
import dataclasses
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import keras
import tensorflow as tf

from dlcli.errors import STOP_SIGNALS, CheckFailed, InputError, Interrupted, raise_lost_stop, raise_stop
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import csv_text, metrics_row, read_csv
from dlcli.rundir.writing import append_line, replace_file
from dlcli.training import checkpoint, schedule
from dlcli.training.direction import lower_is_better
from dlcli.training.objectives.objective import Objective
from dlcli.training.schedule import Rate
from dlcli.training.step import Adversary, Clipping, Data, EvaluationStep, TrainStep
from dlcli.training.team import Alone, Team

CALL_SECONDS = 0.5  # approximate duration of a compiled call, between which progress is shown and signals are handled


@dataclass(frozen=True)
class Plateau:
    """Multiply the learning rate by ``factor`` after ``patience`` epochs without improvement of ``metric``."""

    metric: str
    patience: int
    factor: float
    min_delta: float
    minimum: float  # of the learning rate


@dataclass(frozen=True)
class EarlyStopping:
    """End the stage after ``patience`` epochs without improvement of ``metric``."""

    metric: str
    patience: int
    min_delta: float


@dataclass(frozen=True)
class Parts:
    """The model and data of a stage, unless they are simply the whole model and its data.

    Attributes:
        model: the part that is trained, called with ``training=True``: the whole model, or what follows a frozen front.
        train_data: inputs of ``front`` if there is one, otherwise of ``model``.
        evaluated: the part that is evaluated on ``validation_data``: the whole model, or what follows the front.
        validation_data: None without validation.
        front: the frozen part before ``model``, if every step computes it.
        frozen: variables that the stage does not change.
        rate_factor: variable -> the factor on its learning rate, for trainable variables.
        train_objective, validation_objective: replace the loop's own.
    """

    model: keras.Model
    train_data: Data
    evaluated: keras.Model
    validation_data: Data | None
    front: keras.Model | None = None
    frozen: Sequence[Any] = ()
    rate_factor: Callable[[Any], float] | None = None
    train_objective: Objective | None = None
    validation_objective: Objective | None = None


@dataclass(frozen=True)
class Stage:
    """A part of training with its own optimizer, schedule and patience.

    Attributes:
        num_epochs: maximum number of epochs.
        rate: the learning-rate schedule.
        learning_rate: the initial learning rate of the schedule, for the plateau's minimum.
        optimizer: makes a new, unbuilt Keras optimizer for the given trainable variables.
        prepare: freezes and unfreezes the model's layers for this stage, and returns its parts (None: the whole model
            and its data); called before the optimizer is made.
    """

    name: str
    num_epochs: int
    rate: Rate
    learning_rate: float
    optimizer: Callable[[Sequence[Any]], keras.optimizers.Optimizer]
    prepare: Callable[[], Parts | None]


@dataclass(frozen=True)
class Settings:
    """Settings of all stages, named as in the recipe's ``train`` section."""

    best_metric: str
    num_parts: int = 1
    clipping: Clipping | None = None
    loss_scaling: bool = False
    ema: bool = False
    xla: bool = False
    plateau: Plateau | None = None
    early_stopping: EarlyStopping | None = None
    checkpoint_seconds: float | None = None
    checkpoint_steps: int | None = None


@dataclass
class Tracker:
    """The best value of a metric so far, its epoch, and the number of epochs since without improvement."""

    best: float | None = None
    epoch: int = 0
    waited: int = 0

    def update(self, metric: str, value: float, epoch: int, min_delta: float = 0.0) -> bool:
        """Records an epoch's value and returns whether it improves on the best one by more than ``min_delta``.

        Lower is better for losses and errors (:func:`lower_is_better`), higher for all other metrics.
        """
        sign = -1.0 if lower_is_better(metric) else 1.0
        if self.best is None or sign * (value - self.best) > min_delta:
            self.best, self.epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False


@dataclass
class State:
    """The progress of training. Together with a checkpoint's variables it determines the rest of training."""

    stage: int = 0  # index of the current stage; the number of stages once training is finished
    epoch: int = 0  # epochs done, over all stages
    stage_epoch: int = 0  # epochs done in the current stage
    step: int = 0  # steps done, over all stages
    epoch_step: int = 0  # steps done in the current epoch
    seconds: float = 0.0  # of training
    best: Tracker = field(default_factory=Tracker)
    early_stopping: Tracker = field(default_factory=Tracker)
    plateau: Tracker = field(default_factory=Tracker)

    @property
    def name(self) -> str:
        """Name of the checkpoint of this state."""
        return f"{self.epoch:04d}-{self.step:08d}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "State":
        """The inverse of ``dataclasses.asdict``.

        Raises:
            TypeError, KeyError, AttributeError: the values are not those of a state.
        """
        trackers = {key: Tracker(**values[key]) for key in ("best", "early_stopping", "plateau")}
        state = cls(**{**values, **trackers})
        if not all(type(n) is int for n in (state.stage, state.epoch, state.stage_epoch, state.step, state.epoch_step)):
            raise TypeError("counts must be integers")
        return state

    def start_stage(self, stage: int) -> None:
        self.stage, self.stage_epoch, self.epoch_step = stage, 0, 0
        self.best, self.early_stopping, self.plateau = Tracker(), Tracker(), Tracker()


@dataclass(frozen=True)
class Measure:
    """Metrics of the validation split that are not sums over samples, such as average precision.

    Attributes:
        names: of the metrics.
        values: a finite value for each name, with the model's current weights; a function of these alone.
    """

    names: tuple[str, ...]
    values: Callable[[], Mapping[str, float]]


class Observer(Protocol):
    """Receives the events of training."""

    def stage(self, name: str, num_epochs: int) -> None:
        """A stage starts or is resumed."""

    def progress(
        self, epoch: int, num_epochs: int, step: int, num_steps: int, samples_per_second: float, loss: float
    ) -> None:
        """Some steps of an epoch (counted from 1) are done; ``loss`` is the epoch's mean so far."""

    def stopping(self) -> None:
        """A signal has been received and will be handled after the current call; called from another thread."""

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        """An epoch is finished; ``row`` is its row of metrics.csv."""


class Loop:
    """Trains a model through its stages, from the start or from a checkpoint."""

    def __init__(
        self,
        *,
        run: RunDir,
        model: keras.Model,
        train_objective: Objective,
        validation_objective: Objective,
        train_data: Data,
        validation_data: Data | None,
        stages: Sequence[Stage],
        settings: Settings,
        observer: Observer,
        adversary: Adversary | None = None,
        validates_robustness: bool = False,
        validation_measure: Measure | None = None,
        team: Team | None = None,
    ) -> None:
        self._team = team or Alone()
        self._adversary = adversary
        self._validates_robustness = validates_robustness
        self._measure = validation_measure if validation_data is not None else None
        self._run = run
        self._model = model
        self._train_objective = train_objective
        self._train_data = train_data
        self._validation_data = validation_data
        self._stages = stages
        self._settings = settings
        self._observer = observer
        self._signal: int | None = None  # that this process has received
        self._steps_a_call = 1
        self._checkpointed_at = time.monotonic()
        self.state = State()
        self._validation_objective = validation_objective
        self._has_begun = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of metrics.csv."""
        names = self._train_objective.names
        names_there = (*names, "robust_accuracy") if self._validates_robustness else names
        if self._measure is not None:
            names_there = (*names_there, *self._measure.names)
        validation = () if self._validation_data is None else tuple(f"val_{name}" for name in names_there)
        return (
            *("stage", "epoch", "step", "seconds", "learning_rate", "gradient_norm"),
            *(f"train_{name}" for name in names),
            *validation,
        )

    @property
    def num_epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.num_epochs for stage in self._stages)

    def begin(self, stage: int = 0) -> tuple[TrainStep, Data]:
        """The step and the training data of a stage at its constant learning rate, for a caller that takes the steps
        instead of :meth:`train`, such as a learning-rate range test.

        The stages before it are trained, as by :meth:`train`; for the first one nothing is written.
        """
        tested = self._stages[stage]
        constant = dataclasses.replace(tested, rate=schedule.constant(learning_rate=tested.learning_rate))
        self._stages = [*self._stages[:stage], constant]
        if stage > 0:
            self.train(before=stage)
        self._ensure_begun()
        return self._step, self._parts.train_data

    # Variables and checkpoints ----------------------------------------------------------------------------------------

    def _ensure_begun(self) -> None:
        if not self._has_begun:  # preparing a stage may take long: not before it is needed
            self._begin_stage()

    def _begin_stage(self) -> None:
        self._has_begun = True
        stage = self._stages[min(self.state.stage, len(self._stages) - 1)]
        parts = stage.prepare() or Parts(self._model, self._train_data, self._model, self._validation_data)
        self._parts = parts
        self._optimizer = stage.optimizer(parts.model.trainable_variables)
        self._optimizer.build(parts.model.trainable_variables)
        self._evaluation = (
            None
            if parts.validation_data is None
            else EvaluationStep(
                model=parts.evaluated,
                objective=parts.validation_objective or self._validation_objective,
                data=parts.validation_data,
                adversary=self._adversary if self._validates_robustness else None,
            )
        )
        self._step = TrainStep(
            model=parts.model,
            front=parts.front,
            rate_factor=parts.rate_factor,
            adversary=self._adversary,
            optimizer=self._optimizer,
            objective=parts.train_objective or self._train_objective,
            data=parts.train_data,
            rate=stage.rate,
            clipping=self._settings.clipping,
            num_parts=self._settings.num_parts,
            loss_scaling=self._settings.loss_scaling,
            num_steps=stage.num_epochs * parts.train_data.num_steps,
            xla=self._settings.xla,
        )
        self._steps_a_call = 1

    def _variables(self) -> checkpoint.Variables:
        # model.variables holds the seed generators' states too (model.weights does not)
        return {
            "model": self._model.variables,
            "optimizer": self._optimizer.variables,
            "step": self._step.variables,
        }

    def save_checkpoint(self, *, best: bool = False) -> None:
        """Saves a checkpoint of the current state.

        Raises:
            CheckFailed: a weight is not finite; the last checkpoint is kept.
        """
        self._ensure_begun()
        if not self._team.is_chief:
            return
        try:
            checkpoint.save(
                self._run,
                self.state.name,
                self._variables(),
                dataclasses.asdict(self.state),
                best=best,
                frozen=self._parts.frozen,
                frozen_name=f"frozen-{self.state.stage:02d}",
                averages=self._averages(),
            )
        except FloatingPointError as error:
            raise self._not_finite(str(error)) from None
        self._checkpointed_at = time.monotonic()

    def _averages(self) -> list[tuple[Any, Any]]:
        """Each trained weight with its moving average; empty if none are kept."""
        if not self._settings.ema:
            return []
        averages = [variable for variable in self._optimizer.variables if variable.name.endswith("_average")]
        return list(zip(self._parts.model.trainable_variables, averages, strict=True))

    def resume(self, saved: checkpoint.Saved) -> None:
        """Restores a checkpoint: variables, state, and metrics.csv, which is cut back to it."""
        self._restore(saved)
        if self._team.is_chief:
            checkpoint.remove_unnamed(self._run)
            self.cut_metrics()

    def cut_metrics(self) -> None:
        """Rewrites metrics.csv without the rows of epochs after the current state.

        Raises:
            InputError: rows of earlier epochs are missing, or the columns are not those of this run.
        """
        path, done = self._run.metrics, self.state.epoch
        rows = read_csv(path) if path.exists() else []
        if any(tuple(row) != self.columns for row in rows):
            raise InputError(f"{path}: must have the columns {', '.join(self.columns)}. Restore it from a copy.")
        kept = rows[:done]
        if [row["epoch"] for row in kept] != [str(epoch) for epoch in range(1, done + 1)]:
            raise InputError(f"{path}: must hold epochs 1 to {done}, as the checkpoint does. Restore it from a copy.")
        replace_file(path, csv_text(self.columns, ([row[c] for c in self.columns] for row in kept)))

    def _restore(self, saved: checkpoint.Saved) -> None:
        try:
            self.state = State.from_dict(saved.state)
        except (TypeError, KeyError, AttributeError):
            raise InputError(f"checkpoint {saved.name}: its state.json was not written by dlcli.") from None
        # the model's variables come first: the parts of a stage may depend on them, such as features of a frozen base
        checkpoint.restore_group(saved, "model", self._model.variables)
        self._begin_stage()
        checkpoint.restore(saved, self._variables())

    def load_best(self) -> None:
        """Restores the weights of the best epoch: their moving average, if one is kept."""
        try:
            saved = checkpoint.load(self._run, "best")
        except checkpoint.Corrupt as corruption:
            raise CheckFailed(f"{corruption}. The best model cannot be saved.") from None
        checkpoint.restore(saved, self._variables())
        if self._settings.ema:
            self._optimizer.finalize_variable_values(self._parts.model.trainable_variables)

    def extend(self) -> None:
        """Reopens the last stage of a finished run, with its patience reset. Idempotent."""
        self.state.stage = len(self._stages) - 1
        self.state.early_stopping.waited = 0
        self.state.plateau.waited = 0

    # Training ---------------------------------------------------------------------------------------------------------

    def train(self, *, until: int | None = None, before: int | None = None) -> None:
        """Trains to the end of the last stage.

        Args:
            until: stop after this many epochs, over all stages, with a checkpoint from which training resumes exactly.
            before: stop where the stage with this index starts.

        Raises:
            CheckFailed: the loss is not finite; the last checkpoint is kept.
            Interrupted: Ctrl-C, SIGTERM or SIGHUP was received; a checkpoint has been saved.
        """
        if self._team.is_chief and not self._run.metrics.exists():
            replace_file(self._run.metrics, csv_text(self.columns, []))
        self._checkpointed_at = time.monotonic()
        for index in range(self.state.stage, len(self._stages)):
            stage = self._stages[index]
            if index != self.state.stage:
                self.state.start_stage(index)
                self._has_begun = False
            if index == before:
                return
            self._observer.stage(stage.name, stage.num_epochs)
            self._ensure_begun()
            with self._heeding_signals():
                while not self._is_over(stage):
                    if until is not None and self.state.epoch >= until:
                        return
                    self.train_epoch()
                    self._end_epoch(stage)
                    self._stop(self._asked_to_stop(), saved=True)

    @property
    def is_finished(self) -> bool:
        """Whether the last stage is over."""
        return self.state.stage >= len(self._stages) - 1 and self._is_over(self._stages[-1])

    def _is_over(self, stage: Stage) -> bool:
        patience = self._settings.early_stopping.patience if self._settings.early_stopping else math.inf
        return self.state.stage_epoch >= stage.num_epochs or self.state.early_stopping.waited >= patience

    def train_epoch(self) -> None:
        """Takes the remaining steps of the current epoch; without the validation and checkpoint at its end."""
        self._ensure_begun()
        state, data = self.state, self._parts.train_data
        source = data.source(state.epoch, state.epoch_step)
        while state.epoch_step < data.num_steps:
            num_steps = self._next_call(data.num_steps - state.epoch_step)
            start = time.perf_counter()
            went_well = self._step.run(source, state.epoch_step, num_steps)
            seconds = time.perf_counter() - start
            if not went_well:
                raise self._not_finite("loss or gradient")
            state.epoch_step += num_steps
            state.step += num_steps
            state.seconds += seconds
            rate = num_steps * data.batch_size / seconds
            loss = self._step.results()["loss"]
            self._observer.progress(state.epoch + 1, self.num_epochs, state.epoch_step, data.num_steps, rate, loss)
            agreed = self._agree(num_steps, seconds)
            if state.epoch_step < data.num_steps:  # the end of the epoch has its own checkpoint
                self._stop(agreed.signal, saved=False)
                if agreed.is_checkpoint_due:
                    self.save_checkpoint()

    def _next_call(self, num_left: int) -> int:
        every = self._settings.checkpoint_steps
        to_checkpoint = num_left if every is None else every - self.state.step % every
        return min(self._steps_a_call, num_left, to_checkpoint)

    def _agree(self, num_steps: int, seconds: float) -> "_Agreed":
        """What all processes of the team do after a call of ``num_steps`` steps, which took ``seconds`` here."""
        values = self._team.exchange([seconds, self._signal, self._is_checkpoint_due()])
        self._adapt_call(num_steps, max(seconds for seconds, _, _ in values))
        return _Agreed(_first_signal(signal for _, signal, _ in values), bool(values[0][2]))

    def _asked_to_stop(self) -> int | None:
        """The signal that any process of the team has received."""
        return _first_signal(self._team.exchange(self._signal))

    def _adapt_call(self, num_steps: int, seconds: float) -> None:
        if num_steps == self._steps_a_call and seconds < CALL_SECONDS / 2:
            self._steps_a_call *= 2
        elif seconds > 2 * CALL_SECONDS:
            self._steps_a_call = max(1, self._steps_a_call // 2)

    def _is_checkpoint_due(self) -> bool:
        seconds, steps = self._settings.checkpoint_seconds, self._settings.checkpoint_steps
        waited = time.monotonic() - self._checkpointed_at
        return (seconds is not None and waited >= seconds) or (steps is not None and self.state.step % steps == 0)

    def _end_epoch(self, stage: Stage) -> None:
        """Validates, updates best score, plateau and patience, writes the epoch's row, and saves a checkpoint."""
        state, settings = self.state, self._settings
        start = time.perf_counter()
        results = self._step.results()
        norm = results.pop("gradient_norm")
        values = {f"train_{name}": value for name, value in results.items()}
        values |= {f"val_{name}": value for name, value in self._validate().items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise self._not_finite("validation loss")
        learning_rate = self._step.learning_rate()
        self._step.reset()
        state.epoch, state.stage_epoch, state.epoch_step = state.epoch + 1, state.stage_epoch + 1, 0
        is_best = state.best.update(settings.best_metric, values[settings.best_metric], state.epoch)
        if settings.early_stopping is not None:
            stopping = settings.early_stopping
            state.early_stopping.update(stopping.metric, values[stopping.metric], state.epoch, stopping.min_delta)
        if settings.plateau is not None:
            self._reduce_on_plateau(settings.plateau, values, stage.learning_rate)
        state.seconds += time.perf_counter() - start
        row = {
            "stage": stage.name,
            "epoch": state.epoch,
            "step": state.step,
            "seconds": f"{state.seconds:.3f}",
            "learning_rate": learning_rate,
            "gradient_norm": norm,
            **values,
        }
        if self._team.is_chief:
            append_line(self._run.metrics, metrics_row(self.columns, row))
        self.save_checkpoint(best=is_best)
        self._observer.epoch(row, self.num_epochs, is_best)

    def _reduce_on_plateau(self, plateau: Plateau, values: dict[str, float], learning_rate: float) -> None:
        tracker = self.state.plateau
        tracker.update(plateau.metric, values[plateau.metric], self.state.epoch, plateau.min_delta)
        if tracker.waited >= plateau.patience:
            tracker.waited = 0
            smallest = min(1.0, plateau.minimum / learning_rate)
            self._step.rate_factor = max(self._step.rate_factor * plateau.factor, smallest)

    def _validate(self) -> dict[str, float]:
        data = self._parts.validation_data
        if self._evaluation is None or data is None:
            return {}
        with self._averaged_weights():
            self._evaluation.reset()
            source, asked = data.source(0), None
            for first in range(0, data.num_steps, self._steps_a_call):
                self._evaluation.run(source, first, min(self._steps_a_call, data.num_steps - first))
                asked = self._asked_to_stop()
                if asked is not None:
                    break
            measured = {} if self._measure is None or asked is not None else self._measured(self._measure)
        self._stop(asked, saved=False)  # with the weights that are trained, not their average
        return {**self._evaluation.results(), **measured}

    def _measured(self, measure: Measure) -> dict[str, float]:
        """The chief's values for all: they decide which epoch is best, and the last bits may differ among machines."""
        values: dict[str, float] = self._team.exchange(dict(measure.values()) if self._team.is_chief else None)[0]
        return values

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """A context in which the model has the moving average of its weights, if one is kept."""
        if not self._settings.ema:
            yield
            return
        variables = self._parts.model.trainable_variables
        own = [tf.identity(variable.value) for variable in variables]
        self._optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)

    # Errors and signals -----------------------------------------------------------------------------------------------

    def _not_finite(self, what: str) -> CheckFailed:
        state = self.state
        kept = f"The last checkpoint, of epoch {state.epoch}, is kept." if self._run.checkpoints.exists() else ""
        return CheckFailed(
            f"the {what} is not finite in epoch {state.epoch + 1}, near step {state.step}; training stopped. {kept} "
            "Try a lower train.optimizer.learning_rate, or train.gradient_clipping.".replace("  ", " ")
        )

    @contextlib.contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """A context in which a first signal stops training after the current call, and a second one at once.

        Python lets the main thread alone handle signals; in another thread, as some notebooks and servers use, training
        runs to its end.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            if self._signal is None:
                self._signal = number
            elif number != signal.SIGHUP:  # a terminal that is closed may send several
                raise_stop(number, frame)

        heeded = [n for n in STOP_SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
        earlier = {number: signal.signal(number, note) for number in heeded}
        try:
            raise_lost_stop()  # from here on no exception is raised that a library could swallow
            with self._announcing_signals():
                yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _announcing_signals(self) -> Iterator[None]:
        """A context in which the observer learns of a signal at once, even while the main thread compiles a step."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def announce() -> None:
            while number := os.read(reader, 1):
                if number[0] in STOP_SIGNALS:
                    self._observer.stopping()
                    return

        thread = threading.Thread(target=announce, daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(earlier)
            os.close(writer)
            thread.join()
            os.close(reader)

    def _stop(self, asked: int | None, *, saved: bool) -> None:
        """Stops if a signal asks for it, on which all processes of the team agree."""
        if asked is None:
            return
        if not saved:
            self.save_checkpoint()
        raise Interrupted(f"stopped in epoch {self.state.epoch + 1} at step {self.state.step}", asked)


@dataclass(frozen=True)
class _Agreed:
    """What all processes of a team do after a call: stop by a signal, or save a checkpoint."""

    signal: int | None
    is_checkpoint_due: bool


def _first_signal(signals: Iterable[int | None]) -> int | None:
    return next((number for number in signals if number is not None), None)
