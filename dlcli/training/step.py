"""The training step and its evaluation counterpart: many steps in one compiled call, under a tf.distribute strategy.

Gradients are summed over the parts of a batch and over the replicas before they are checked, clipped and applied, so
that results do not depend on how a batch is divided (:mod:`dlcli.training.parts`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import keras
import numpy as np
import tensorflow as tf

from dlcli.errors import InputError
from dlcli.replicas import divided
from dlcli.training.objectives.objective import Batch, Objective, Tensor
from dlcli.training.parts import Division, LayerState, State, divide
from dlcli.training.schedule import Rate

Source = Any  # the data of an epoch: a tensor or an iterator


class Data(Protocol):
    """The batches of one split, such as :class:`dlcli.data.images.batches.Batches`."""

    num_samples: int
    batch_size: int
    num_steps: int  # of an epoch

    def source(self, epoch: int, first_step: int = 0) -> Source:
        """The data of an epoch, from ``first_step`` on."""

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other, so that a batch must be assembled as a whole."""

    def element(self, source: Source, step: Tensor) -> dict[str, Tensor]:
        """Traced: the data of one step of the epoch; the first dimension of each tensor is the samples."""

    def assemble(self, element: dict[str, Tensor]) -> Batch:
        """Traced: turns an element, or a part of one, into a batch."""


INITIAL_LOSS_SCALE = 2.0**15
LOSS_SCALE_GROWTH_STEPS = 2000
"""Finite steps after which the loss scale is doubled (Micikevicius et al. 2018, section 3.2)."""


@dataclass(frozen=True)
class Clipping:
    """A bound on a batch's gradient: on each variable's L2 norm, on the L2 norm over all, or on each element."""

    kind: Literal["norm", "global_norm", "value"]
    value: float

    def apply(self, gradients: list[Tensor], global_norm: Tensor) -> list[Tensor]:
        if self.kind == "norm":
            return [tf.clip_by_norm(gradient, self.value) for gradient in gradients]
        if self.kind == "global_norm":
            return list(tf.clip_by_global_norm(gradients, self.value, use_norm=global_norm)[0])
        return [tf.clip_by_value(gradient, -self.value, self.value) for gradient in gradients]


@dataclass(frozen=True)
class Adversary:
    """Attacks samples of each batch, for adversarial training and robust accuracy.

    Attributes:
        perturb: traced: (x, label, start) -> adversarial x of the same shape; ``start`` is uniform in [-1, 1], with the
            shape of x.
        ratio: proportion of the samples of each batch that are attacked: the first ones, in the epoch's random order.
        seed: seed of the starts.
    """

    perturb: Callable[[Tensor, Tensor, Tensor], Tensor]
    ratio: float
    seed: int

    def start(self, x: Tensor, division: Division, step: Tensor, salt: int) -> Tensor:
        """Random starts for a replica's samples ``x``, which depend only on (seed, step, salt) and their places in the
        batch: every replica draws those of the whole batch."""
        seeds = tf.stack([tf.constant(self.seed, tf.int64) * 65_537 + salt, tf.cast(step, tf.int64)])
        shape = tf.concat([[division.num_samples], tf.shape(x)[1:]], axis=0)
        return tf.random.stateless_uniform(shape, seeds, -1.0, 1.0)[division.samples]

    def change(self, batch: Batch) -> Tensor:
        """The pixels of a batch or a part of one with the ``attacked`` samples at its start perturbed."""
        x, number = batch["x"], tf.reduce_sum(tf.cast(batch["attacked"], tf.int32))

        def some() -> Tensor:
            changed = self.perturb(x[:number], batch["y"]["class"][:number], batch["start"][:number])
            return tf.concat([changed, x[number:]], axis=0)

        return tf.stop_gradient(tf.ensure_shape(tf.cond(number > 0, some, lambda: x), x.shape))


class TrainStep:
    """Many training steps in one compiled call.

    Besides the model's and the optimizer's variables, checkpoints need the step's own, which are in ``variables``.

    Args:
        model: the inputs that ``objective`` names -> outputs that it takes; called with ``training=True``.
        optimizer: built on the model's trainable variables, without clipping or accumulation of its own.
        objective: the loss and metrics.
        data: the batches.
        rate: learning rate as a function of the step within the stage.
        clipping: bound on the gradient of a batch; None for none.
        num_parts: number of parts into which a batch is divided for gradient accumulation, and among the replicas; with
            more replicas than parts, each replica has one.
        loss_scaling: float16 only: scales the loss so that gradients do not underflow, and repeats steps that overflow.
        front: the frozen part before ``model``, called in inference mode.
        rate_factor: variable -> the factor on its learning rate, for trainable variables.
        adversary: attacks a part of each batch before the step.
        num_steps: of the stage, by which layers with a ``progress`` follow it, such as drop path; None leaves it at 0.
        xla: compile the forward and backward pass with XLA, for each shape of a batch anew.
    """

    def __init__(
        self,
        *,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        objective: Objective,
        data: Data,
        rate: Rate,
        clipping: Clipping | None,
        num_parts: int,
        loss_scaling: bool,
        front: keras.Model | None = None,
        rate_factor: Callable[[Any], float] | None = None,
        adversary: Adversary | None = None,
        num_steps: int | None = None,
        xla: bool = False,
    ) -> None:
        self._adversary = adversary
        self._num_steps = num_steps
        self._progress = {layer.progress for layer in model.layers if hasattr(layer, "progress")}
        self._front = front
        self._model = model
        self._optimizer = optimizer
        self._objective = objective
        self._data = data
        self._rate = rate
        self._clipping = clipping
        self._loss_scaling = loss_scaling
        self._trainable = [variable.value for variable in model.trainable_variables]
        self._layer_state = LayerState(model)
        self._rate_factors = None if rate_factor is None else [rate_factor(v) for v in model.trainable_variables]
        self._strategy = tf.distribute.get_strategy()
        self._num_parts = max(num_parts, self._strategy.num_replicas_in_sync)
        self._sums_again = self._strategy.num_replicas_in_sync > 1 and not _stop_summing(optimizer)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)  # within the stage
        self._rate_factor = tf.Variable(1.0, dtype=tf.float32, trainable=False)  # of reduce on plateau
        self._totals = tf.Variable(tf.zeros(self._num_sums, tf.float64), trainable=False)
        self._loss_scale = tf.Variable(INITIAL_LOSS_SCALE if loss_scaling else 1.0, dtype=tf.float32, trainable=False)
        self._finite_steps = tf.Variable(0, dtype=tf.int64, trainable=False)  # since the loss scale last changed
        self._run = tf.function(self._many_steps, autograph=False)  # autograph would take a second to rewrite the loops
        by_xla = tf.function(self._loss_gradients, autograph=False, jit_compile=True)
        self._compute = by_xla if xla else self._loss_gradients

    @property
    def _num_sums(self) -> int:
        return self._objective.num_sums + 2  # those of the loss and metrics, the gradient's norm, the steps

    @property
    def variables(self) -> list[tf.Variable]:
        """The step's own state."""
        return [self._step, self._rate_factor, self._totals, self._loss_scale, self._finite_steps]

    def run(self, source: Source, first_step: int, num_steps: int) -> bool:
        """Takes ``num_steps`` steps of the epoch from ``first_step`` on; stops and returns False if one is not finite.

        A loss or gradient that is not finite leads to no update.

        Raises:
            InputError: XLA, which was asked for, cannot compile the network or its loss.
        """
        try:
            return bool(self._run(source, tf.constant(first_step, tf.int64), tf.constant(num_steps, tf.int64)))
        except tf.errors.OpError as error:
            if "tf2xla conversion failed" not in str(error):
                raise
            raise InputError("train.xla: XLA cannot compile this network with its loss. Set it to false.") from None

    def results(self) -> dict[str, float]:
        """The objective's values since the last :meth:`reset`, by its names, and the mean ``gradient_norm``."""
        totals = self._totals.numpy()
        norm, steps = totals[-2:].tolist()
        return {**self._objective.results(totals[:-2]), "gradient_norm": norm / steps}

    def reset(self) -> None:
        """Resets the means for a new epoch."""
        self._totals.assign(tf.zeros_like(self._totals))

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        step = tf.maximum(self._step - 1, 0)
        return float(str((self._rate(step) * self._rate_factor).numpy()))  # 0.001, not the float32's 0.00100000005

    @property
    def rate_factor(self) -> float:
        """The factor on the schedule's rate, set by reduce-on-plateau."""
        return float(self._rate_factor)

    @rate_factor.setter
    def rate_factor(self, factor: float) -> None:
        self._rate_factor.assign(factor)

    # Traced -----------------------------------------------------------------------------------------------------------

    def _many_steps(self, source: Source, first_step: Tensor, num_steps: Tensor) -> Tensor:
        step = self._step.read_value()

        def one_step(done: Tensor, going_well: Tensor, totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            self._optimizer.learning_rate.assign(self._rate(step + done) * self._rate_factor)
            self._follow_progress(step + done)
            element = self._data.element(source, first_step + done)
            gradients, sums = self._strategy.run(self._one_gradient, args=(element, step + done))
            sums = _first(self._strategy, sums)

            def update() -> Tensor:
                self._strategy.run(self._update, args=(gradients,))
                return totals + tf.cast(sums, tf.float64)

            finite = tf.reduce_all(tf.math.is_finite(sums))
            # outside of the replicas, which could not wait for each other inside of a branch
            totals = tf.cond(finite, update, lambda: totals)
            going_well = self._adapt_loss_scale(finite) if self._loss_scaling else finite
            return done + tf.cast(finite, done.dtype), going_well, totals  # an overflow is repeated at half the scale

        done, going_well, totals = tf.while_loop(
            lambda done, going_well, totals: tf.logical_and(done < num_steps, going_well),
            one_step,
            (tf.constant(0, tf.int64), tf.constant(True), self._totals.read_value()),
        )
        self._step.assign_add(done)
        self._totals.assign(totals)
        return going_well

    def _follow_progress(self, step: Tensor) -> None:
        if self._num_steps is not None:
            done = tf.minimum(tf.cast(step, tf.float32) / self._num_steps, 1.0)
            for progress in self._progress:
                progress.variable.assign(done)

    def _one_gradient(self, element: dict[str, Tensor], step: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run on each replica: the clipped gradient of the whole batch, and the batch's sums for :meth:`results`."""
        division = _division(self._strategy, element, self._num_parts)
        batch = self._objective.prepared(_replica_batch(self._strategy, self._data, element, division))
        if self._adversary is not None:
            batch = self._with_attacked(batch, division, self._adversary, step)
        loss_weight = self._all_sum(tf.reduce_sum(self._objective.weight(batch)))
        if self._num_parts == 1:
            sums, gradients = self._gradients(batch, loss_weight)
        else:
            sums, gradients = self._gradients_by_parts(batch, division, loss_weight)
        *gradients, sums = self._all_sum([*gradients, sums])
        if self._loss_scaling:
            gradients = [gradient / self._loss_scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self._clipping is not None:
            gradients = self._clipping.apply(gradients, norm)
        return gradients, tf.concat([sums, [norm, 1.0]], axis=0)

    @staticmethod
    def _with_attacked(batch: Batch, division: Division, adversary: Adversary, step: Tensor) -> Batch:
        """Marks the samples that are attacked, of the whole batch the first ones, and draws their starts."""
        number = tf.cast(tf.math.ceil(adversary.ratio * tf.cast(division.num_samples, tf.float32)), tf.int32)
        attacked = (tf.range(division.num_samples) < number)[division.samples]
        return {**batch, "attacked": attacked, "start": adversary.start(batch["x"], division, step, salt=0)}

    def _update(self, gradients: list[Tensor]) -> None:
        if self._sums_again:
            gradients = [gradient / self._strategy.num_replicas_in_sync for gradient in gradients]
        if self._rate_factors is None:
            self._optimizer.apply(gradients, self._model.trainable_variables)
            return
        before = [tf.identity(value) for value in self._trainable]
        self._optimizer.apply(gradients, self._model.trainable_variables)
        # the update of every optimizer is proportional to the learning rate: scaling one scales the other
        for variable, old, factor in zip(self._trainable, before, self._rate_factors, strict=True):
            if factor != 1.0:
                variable.assign(old + factor * (variable - old))

    def _all_sum(self, value: Any) -> Any:
        if self._strategy.num_replicas_in_sync == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    def _inputs(self, batch: Batch) -> Any:
        """The inputs of the trained part of the model."""
        x = batch["x"] if self._adversary is None else self._adversary.change(batch)
        return self._objective.inputs(x if self._front is None else self._front(x, training=False), batch)

    def _gradients(
        self, batch: Batch, loss_weight: Tensor, batch_loss_sums: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The sums of a part of a batch, and its share of the gradient of the batch's loss, times the loss scale.

        Args:
            loss_weight: of the whole batch.
            batch_loss_sums: of the whole batch; None if this is this replica's only part.
        """
        loss_sums, gradients, outputs = self._compute(batch, loss_weight, batch_loss_sums)
        # XLA, which may compile the gradients, lacks operations that metrics need
        sums = [loss_sums, self._objective.metric_sums(outputs, batch)]
        return tf.concat(sums, axis=0), gradients

    def _loss_gradients(
        self, batch: Batch, loss_weight: Tensor, batch_loss_sums: Tensor | None
    ) -> tuple[Tensor, list[Tensor], Any]:
        """As :meth:`_gradients`: the sums of the loss and the weights, the gradients, and the model's outputs."""
        objective = self._objective
        inputs = self._inputs(batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._trainable)
            outputs = self._model(inputs, training=True)
            weights = objective.weight(batch)
            loss_sum = tf.reduce_sum(weights * objective.minimized(outputs, batch))
            # the regularization of a batch counts once, however the batch is divided
            share = tf.math.divide_no_nan(tf.reduce_sum(weights), loss_weight)
            loss = (
                tf.math.divide_no_nan(loss_sum, loss_weight) + sum(self._model.losses, start=tf.constant(0.0)) * share
            )
            if objective.batch_loss is not None:
                own = objective.batch_loss.sums(outputs, batch)
                whole = self._all_sum(tf.stop_gradient(own)) if batch_loss_sums is None else batch_loss_sums
                # the value of the whole batch, with the gradient that it has by this part's samples
                value = objective.batch_loss.value(own + tf.stop_gradient(whole - own))
                loss += value - tf.stop_gradient((1.0 - share) * value)  # its value counts once too
            scaled = loss * self._loss_scale if self._loss_scaling else loss
        gradients = tape.gradient(scaled, self._trainable)
        sums = tf.stack([loss * loss_weight, tf.reduce_sum(weights)])
        return sums, [tf.convert_to_tensor(gradient) for gradient in gradients], outputs

    def _gradients_by_parts(self, batch: Batch, division: Division, loss_weight: Tensor) -> tuple[Tensor, list[Tensor]]:
        state = self._layer_state
        before = state.read()
        if self._num_parts == self._strategy.num_replicas_in_sync:  # each replica has one part
            state.start_part(before, division.first)
            sums, gradients = self._gradients(batch, loss_weight)
            changes = state.changes(before)
        else:
            sums, gradients, changes = self._gradients_of_some_parts(batch, division, before, loss_weight)
        if changes:  # an empty list cannot be reduced
            is_own = tf.cast(division.has_own, tf.float32)
            changes = self._all_sum([change * is_own for change in changes])
        num_parts = tf.cast(division.num_parts, tf.float32)
        state.finish(before, [change / num_parts for change in changes])
        return sums, gradients

    def _gradients_of_some_parts(
        self, batch: Batch, division: Division, before: State, loss_weight: Tensor
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The sums of a replica's parts, its share of the gradient, and the changes of averages that the parts make."""
        state = self._layer_state
        batch_loss_sums = None if self._objective.batch_loss is None else self._sums_by_parts(batch, division, before)

        def one_part(number: Tensor, *sums_before: Any) -> tuple[Any, ...]:
            state.start_part(before, number)
            part = _part(batch, division.samples_of(number))
            more_sums, gradients = self._gradients(part, loss_weight, batch_loss_sums)
            more = (more_sums, gradients, state.changes(before))
            return (number + 1, *tf.nest.map_structure(tf.add, sums_before, more))

        zeros = [tf.zeros_like(value) for value in self._trainable]
        _, sums, gradients, changes = tf.while_loop(
            lambda number, *_: number < division.last,
            one_part,
            (division.first, tf.zeros(self._num_sums - 2), zeros, state.no_changes()),
        )
        return sums, gradients, changes

    def _sums_by_parts(self, batch: Batch, division: Division, before: State) -> Tensor:
        """The sums of the batch loss over the whole batch, by a forward pass of its own, which draws the dropout that
        the pass for the gradients draws again."""
        batch_loss = self._objective.batch_loss
        assert batch_loss is not None

        def one_part(number: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            self._layer_state.start_part(before, number)
            part = _part(batch, division.samples_of(number))
            outputs = self._model(self._inputs(part), training=True)
            return number + 1, sums + batch_loss.sums(outputs, part)

        _, sums = tf.while_loop(
            lambda number, sums: number < division.last, one_part, (division.first, tf.zeros(batch_loss.num_sums))
        )
        return self._all_sum(sums)

    def _adapt_loss_scale(self, finite: Tensor) -> Tensor:
        """Doubles the scale after many finite steps, halves it after an overflow; False if it overflows at scale 1."""
        can_go_on = tf.logical_or(finite, self._loss_scale > 1.0)
        finite_steps = tf.where(finite, self._finite_steps + 1, 0)
        grow = finite_steps >= LOSS_SCALE_GROWTH_STEPS
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self._loss_scale.assign(tf.maximum(self._loss_scale * factor, 1.0))
        self._finite_steps.assign(tf.where(grow, tf.zeros_like(finite_steps), finite_steps))
        return can_go_on


def _stop_summing(optimizer: keras.optimizers.Optimizer) -> bool:
    """Make Keras's optimizer take gradients as they are: it would sum them over the replicas, which is done before they
    are clipped. Returns False for a version of Keras that does it in another place."""
    if not hasattr(optimizer, "_all_reduce_sum_gradients"):
        return False
    optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
    return True


def _part(batch: Batch, samples: slice) -> Batch:
    part: Batch = tf.nest.map_structure(lambda tensor: tensor[samples], dict(batch))
    return part


def _division(strategy: tf.distribute.Strategy, element: dict[str, Tensor], num_parts: int) -> Division:
    """How a batch is divided; run on each replica."""
    num_samples = tf.shape(next(iter(element.values())))[0]
    num_replicas = strategy.num_replicas_in_sync
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group if num_replicas > 1 else 0
    return divide(num_samples, num_parts, num_replicas, replica)


def _replica_batch(
    strategy: tf.distribute.Strategy, data: Data, element: dict[str, Tensor], division: Division
) -> Batch:
    """This replica's samples of a batch."""
    if strategy.num_replicas_in_sync == 1:
        return data.assemble(element)
    if data.mixes:
        batch = _part(data.assemble(element), division.samples)
    else:
        batch = data.assemble({name: tensor[division.samples] for name, tensor in element.items()})
    return {**batch, "weight": batch["weight"] * tf.cast(division.has_own, tf.float32)}


def _first(strategy: tf.distribute.Strategy, values: Any) -> Any:
    """The values of one replica, which are those of all replicas because they have been reduced."""
    return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], values)


class EvaluationStep:
    """Loss and metrics of a model in inference mode, many batches in one compiled call."""

    def __init__(
        self, *, model: keras.Model, objective: Objective, data: Data, adversary: Adversary | None = None
    ) -> None:
        self._model = model
        self._objective = objective
        self._data = data
        self._adversary = adversary
        self._strategy = tf.distribute.get_strategy()
        num_sums = objective.num_sums + (0 if objective.batch_loss is None else objective.batch_loss.num_sums)
        self._totals = tf.Variable(tf.zeros(num_sums + 2 * (adversary is not None), tf.float64), trainable=False)
        self._run = tf.function(self._many_steps, autograph=False)

    def run(self, source: Source, first_step: int, num_steps: int) -> None:
        """Adds ``num_steps`` batches, from ``first_step`` on, to the means."""
        self._run(source, tf.constant(first_step, tf.int64), tf.constant(num_steps, tf.int64))

    def results(self) -> dict[str, float]:
        """The objective's values over the samples since the last :meth:`reset`, by name, and the ``robust_accuracy``
        if there is an adversary."""
        totals, batch_loss = self._totals.numpy(), self._objective.batch_loss
        results = self._objective.results(totals[: self._objective.num_sums])
        if batch_loss is not None:
            sums = totals[self._objective.num_sums :][: batch_loss.num_sums]
            results["loss"] += float(batch_loss.value(tf.constant(sums, tf.float32)))
        if self._adversary is not None:
            correct, weight = totals[-2:].tolist()
            results["robust_accuracy"] = correct / weight if weight else 0.0
        return results

    def reset(self) -> None:
        """Resets the means."""
        self._totals.assign(tf.zeros_like(self._totals))

    def _many_steps(self, source: Source, first_step: Tensor, num_steps: Tensor) -> None:
        def one_step(step: Tensor, totals: Tensor) -> tuple[Tensor, Tensor]:
            element = self._data.element(source, step)
            sums = self._strategy.run(self._one_step, args=(element, step))
            sums = self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)
            return step + 1, totals + tf.cast(sums, tf.float64)

        _, totals = tf.while_loop(
            lambda step, totals: step < first_step + num_steps, one_step, (first_step, self._totals.read_value())
        )
        self._totals.assign(totals)

    def _one_step(self, element: dict[str, Tensor], step: Tensor) -> Tensor:
        division = _division(self._strategy, element, self._strategy.num_replicas_in_sync)
        batch = self._objective.prepared(_replica_batch(self._strategy, self._data, element, division))
        outputs = self._model(self._objective.inputs(batch["x"], batch), training=False)
        weight = self._objective.weight(batch)
        loss_sum = tf.reduce_sum(weight * self._objective.loss(outputs, batch))
        sums = [tf.stack([loss_sum, tf.reduce_sum(weight)]), self._objective.metric_sums(outputs, batch)]
        if self._objective.batch_loss is not None:
            sums.append(self._objective.batch_loss.sums(outputs, batch))
        if self._adversary is not None:
            start = self._adversary.start(batch["x"], division, step, salt=1)
            attacked = self._adversary.perturb(batch["x"], batch["y"]["class"], start)
            correct = self._objective.metrics["accuracy"](self._model(attacked, training=False), batch)
            sums.append(tf.stack([tf.reduce_sum(weight * correct), tf.reduce_sum(weight)]))
        return tf.concat(sums, axis=0)


def prediction(model: Callable[..., Any], data: Data) -> Callable[[], Iterator[tuple[np.ndarray, ...]]]:
    """A function that yields the model's outputs for the samples of a split, ``[b, ...]`` each, batch by batch, in
    inference mode; it is compiled once, and uses the model's current weights."""

    outputs_of = divided(lambda x: tf.nest.flatten(model(x, training=False)))

    def one_step(source: Source, step: Tensor) -> Tensor:
        return outputs_of(data.assemble(data.element(source, step))["x"])

    compiled = tf.function(one_step, autograph=False)

    def run() -> Iterator[tuple[np.ndarray, ...]]:
        source = data.source(0)
        for step in range(data.num_steps):
            yield tuple(output.numpy() for output in compiled(source, tf.constant(step, tf.int64)))

    return run
