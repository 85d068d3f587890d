"""The same numbers as foolbox and ART on the same networks and samples."""

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import accuracy, held_out, network, saturated, trained  # type: ignore[import-not-found]

from dlcli.attacks import gradient
from dlcli.attacks.deepfool import deepfool
from dlcli.attacks.fgsm import fgsm
from dlcli.attacks.gradient import Attack
from dlcli.attacks.pgd import iterated
from dlcli.tasks.attack_target import load_target, of_model

BOUNDS = (0.0, 255.0)
# two of them are quick
EPS = [0.02, 0.2, *(pytest.param(eps, marks=pytest.mark.slow) for eps in (0.01, 0.05, 0.1, 0.3))]
KINDS = [
    pytest.param("logits", 0.0, id="logits"),
    pytest.param("softmax", 0.0, id="softmax", marks=pytest.mark.slow),
    pytest.param("logits", 117.0, id="mean subtraction", marks=pytest.mark.slow),
]


@pytest.fixture
def foolbox() -> Any:
    return pytest.importorskip("foolbox")


def logits_of(model: keras.Model) -> Any:
    return of_model(model, input_range=BOUNDS).logits


def one_step(logits: Any) -> Attack:
    return fgsm(logits, loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS)


def ten_steps(logits: Any) -> Attack:
    return iterated(logits, loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS, steps=10, step_size=0.2)


@functools.cache
def fgsm_of(model: keras.Model) -> Attack:
    return one_step(logits_of(model))


@functools.cache
def bim_of(model: keras.Model) -> Attack:
    return ten_steps(logits_of(model))


def robust(attack: Attack, model: keras.Model, eps: float) -> tuple[float, np.ndarray]:
    x, y = held_out()
    adversarial = attack(x, y, eps * 255, np.arange(len(x)))
    right = np.asarray(model(x)).argmax(1) == y
    return float((right & (np.asarray(model(adversarial)).argmax(1) == y)).mean()), adversarial


def of_foolbox(foolbox: Any, attack: Any, model: keras.Model, eps: float) -> tuple[float, np.ndarray]:
    x, y = held_out()
    wrapped = foolbox.TensorFlowModel(model, bounds=BOUNDS)
    _, clipped, success = attack(wrapped, tf.constant(x), tf.constant(y, tf.int64), epsilons=[eps * 255])
    right = np.asarray(model(x)).argmax(1) == y
    return float((right & ~success.numpy()[0]).mean()), clipped[0].numpy()


@pytest.mark.parametrize(("head", "mean"), KINDS)
@pytest.mark.parametrize("eps", EPS)
def test_fgsm_is_foolboxs(foolbox: Any, head: str, mean: float, eps: float) -> None:
    model, plain = trained(head, mean=mean), trained("logits", mean=mean)
    own, mine = robust(fgsm_of(model), model, eps)
    theirs, yours = of_foolbox(foolbox, foolbox.attacks.LinfFastGradientAttack(), plain, eps)
    assert own == theirs
    differs = np.abs(mine - yours).max(axis=(1, 2, 3)) > 255e-6
    assert differs.mean() <= 0.01  # where a gradient of nearly 0 has another sign


@pytest.mark.parametrize(("head", "mean"), KINDS)
@pytest.mark.parametrize("eps", EPS)
def test_bim_is_foolboxs(foolbox: Any, head: str, mean: float, eps: float) -> None:
    model, plain = trained(head, mean=mean), trained("logits", mean=mean)
    own, _ = robust(bim_of(model), model, eps)
    peer = foolbox.attacks.LinfBasicIterativeAttack(rel_stepsize=0.2, steps=10)
    assert own == of_foolbox(foolbox, peer, plain, eps)[0]


@pytest.mark.parametrize("eps", EPS)
def test_a_saturated_network_gives_the_same_accuracies(foolbox: Any, eps: float) -> None:
    model = saturated()
    x, y = held_out()
    _, slope = gradient.gradient(logits_of(model), gradient.cross_entropy, tf.constant(x), tf.constant(y))
    assert (slope.numpy() == 0).all(axis=(1, 2, 3)).mean() > 0.1
    peers = (
        foolbox.attacks.LinfFastGradientAttack(),
        foolbox.attacks.LinfBasicIterativeAttack(rel_stepsize=0.2, steps=10),
    )
    for own, peer in zip((fgsm_of(model), bim_of(model)), peers, strict=True):
        assert robust(own, model, eps)[0] == of_foolbox(foolbox, peer, model, eps)[0]


@pytest.fixture(scope="module")
def of_mixed_precision(tmp_path_factory: pytest.TempPathFactory) -> tuple[Attack, Attack]:
    """FGSM and BIM on a model file of mixed precision, which has the weights of ``trained()``."""
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        halved = network()
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    halved.set_weights(trained().get_weights())
    file: Path = tmp_path_factory.mktemp("mixed") / "halved.keras"
    halved.save(file)
    target = load_target(file)
    return one_step(target.logits), ten_steps(target.logits)


@pytest.mark.parametrize("eps", EPS)
def test_a_file_of_mixed_precision_gives_the_accuracies_of_float32(
    foolbox: Any, of_mixed_precision: tuple[Attack, Attack], eps: float
) -> None:
    peers = (
        foolbox.attacks.LinfFastGradientAttack(),
        foolbox.attacks.LinfBasicIterativeAttack(rel_stepsize=0.2, steps=10),
    )
    for own, peer in zip(of_mixed_precision, peers, strict=True):
        assert robust(own, trained(), eps)[0] == of_foolbox(foolbox, peer, trained(), eps)[0]


@pytest.mark.parametrize("norm", ["linf", pytest.param("l2", marks=pytest.mark.slow)])
def test_pgd_is_as_strong_as_foolboxs(foolbox: Any, norm: Any) -> None:
    model = trained()
    peers = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}
    for eps in (0.05, 0.1) if norm == "linf" else (0.5, 1.0):
        attack = iterated(
            logits_of(model),
            loss=gradient.cross_entropy,
            norm=norm,
            bounds=BOUNDS,
            steps=40,
            step_size=2.5 / 40,
            restarts=1,
        )
        own, _ = robust(attack, model, eps)
        theirs, _ = of_foolbox(foolbox, peers[norm](rel_stepsize=2.5 / 40, steps=40), model, eps)
        assert own == pytest.approx(theirs, abs=0.02)


@pytest.mark.slow  # test_deepfool.py has the closed form of linear networks
def test_deepfool_finds_changes_as_small_as_foolboxs(foolbox: Any) -> None:
    model = trained()
    x, y = held_out()
    mine = deepfool(logits_of(model), bounds=BOUNDS)(x, y)
    wrapped = foolbox.TensorFlowModel(model, bounds=BOUNDS)
    found = foolbox.attacks.L2DeepFoolAttack()(wrapped, tf.constant(x), tf.constant(y, tf.int64), epsilons=None)
    theirs = found[0].numpy()
    right = np.asarray(model(x)).argmax(1) == y
    assert accuracy(model, mine[right], y[right]) <= 0.01
    norms = [float(np.linalg.norm((a - x)[right].reshape(right.sum(), -1), axis=1).mean()) for a in (mine, theirs)]
    assert norms[0] == pytest.approx(norms[1], rel=0.03)


@pytest.mark.parametrize("eps", EPS)
def test_fgsm_and_bim_are_arts(eps: float) -> None:
    estimators = pytest.importorskip("art.estimators.classification")
    evasion = pytest.importorskip("art.attacks.evasion")
    model = trained()
    x, y = held_out()
    classifier = estimators.TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=(8, 8, 1),
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        clip_values=BOUNDS,
    )
    right = np.asarray(model(x)).argmax(1) == y

    def theirs(attack: Any) -> float:
        return float((right & (np.asarray(model(attack.generate(x, y=y))).argmax(1) == y)).mean())

    assert robust(fgsm_of(model), model, eps)[0] == theirs(
        evasion.FastGradientMethod(classifier, eps=eps * 255, batch_size=200)
    )
    peer = evasion.BasicIterativeMethod(
        classifier, eps=eps * 255, eps_step=eps * 51, max_iter=10, batch_size=200, verbose=False
    )
    assert robust(bim_of(model), model, eps)[0] == theirs(peer)
