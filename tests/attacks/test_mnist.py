"""FGSM and BIM on LeNet-5 and the real MNIST: foolbox's curve."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.attacks import gradient
from dlcli.attacks.fgsm import fgsm
from dlcli.attacks.gradient import Attack
from dlcli.attacks.pgd import iterated
from dlcli.recipe.sections.image_model import Lenet5
from dlcli.tasks.attack_target import of_model
from dlcli.tasks.images.network import build_classifier

EPS = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
PIXELS = (0.0, 255.0)
NUM_ATTACKED = 500


@pytest.mark.slow  # test_against_peers.py compares small networks
def test_lenet5s_curve_is_foolboxs(shared_data: Path) -> None:
    foolbox = pytest.importorskip("foolbox")
    with np.load(shared_data / "mnist" / "mnist.npz", allow_pickle=False) as file:
        x, y = file["x_train"][:12_000, ..., None].astype(np.float32), file["y_train"][:12_000]
        x_test, y_test = (file[name][:NUM_ATTACKED] for name in ("x_test", "y_test"))
    pixels, labels = x_test[..., None].astype(np.float32), y_test.astype(np.int32)
    keras.utils.set_random_seed(0)
    model = build_classifier(Lenet5(kind="lenet5"), shape=(28, 28, 1), num_classes=10).model
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=128, epochs=2, verbose=0)
    target = of_model(model, input_range=PIXELS)
    right = np.argmax(target.logits(pixels), axis=1) == labels
    assert right.mean() > 0.93
    wrapped = foolbox.TensorFlowModel(target.logits, bounds=PIXELS, device="/CPU:0")

    def own(attack: Attack, eps: float) -> float:
        adversarial = attack(pixels, labels, eps * 255, np.arange(NUM_ATTACKED))
        return float((right & (np.argmax(target.logits(adversarial), axis=1) == labels)).mean())

    def theirs(attack: Any, eps: float) -> float:
        criterion = tf.constant(labels, tf.int64)
        _, _, success = attack(wrapped, tf.constant(pixels), criterion, epsilons=[eps * 255])
        return float((right & ~success.numpy()[0]).mean())

    one = fgsm(target.logits, loss=gradient.cross_entropy, norm="linf", bounds=PIXELS)
    many = iterated(target.logits, loss=gradient.cross_entropy, norm="linf", bounds=PIXELS, steps=10, step_size=0.2)
    curve = [own(one, eps) for eps in EPS]
    assert curve == [theirs(foolbox.attacks.LinfFastGradientAttack(), eps) for eps in EPS]
    assert curve[-1] < 0.3 < curve[0]
    peer = foolbox.attacks.LinfBasicIterativeAttack(rel_stepsize=0.2, steps=10)
    for eps in (0.05, 0.1):
        assert own(many, eps) == theirs(peer, eps)
