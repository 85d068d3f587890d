"""Turns ``train.adversarial`` into the attack that training runs on each batch."""

from typing import Any

import tensorflow as tf

from dlcli.attacks.gradient import cross_entropy
from dlcli.attacks.pgd import climb
from dlcli.recipe.sections.train import Adversarial, CommonTrain, Train
from dlcli.tasks.images.network import ImageNetwork
from dlcli.training.step import Adversary


def adversarial_of(train: CommonTrain[Any]) -> Adversarial | None:
    """The section of adversarial training; None without one, and for the tasks whose ``train`` section has none."""
    return train.adversarial if isinstance(train, Train) else None


def make_adversary(section: Adversarial, network: ImageNetwork, seed: int) -> Adversary:
    """The attack on each training batch, as the recipe's ``train.adversarial`` describes it."""

    def logits(pixels: Any) -> Any:
        return tf.cast(network.trained(pixels, training=False), tf.float32)

    is_one_step = section.attack == "fgsm"
    steps = 1 if is_one_step else section.steps

    def perturb(x: Any, label: Any, start: Any) -> Any:
        if section.label == "predicted":
            label = tf.argmax(logits(x), axis=1, output_type=tf.int32)
        return climb(
            *(logits, x, label, tf.constant(255 * section.eps)),
            tf.zeros_like(x) if is_one_step else start,
            loss=cross_entropy,
            norm="linf",
            bounds=(0.0, 255.0),
            steps=steps,
            step_size=1.0 if is_one_step else 2.5 / steps,
        )

    return Adversary(perturb, section.ratio, seed)
