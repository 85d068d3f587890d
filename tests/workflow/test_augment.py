"""Recipes with augmentation: only training images change."""

import json
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import rows  # type: ignore[import-not-found]

BASE = """\
task: classification
data: {kind: digits, image_size: [12, 12], limit: 60}
model: {kind: mlp, units: [16]}
train: {epochs: 2, batch_size: 16, optimizer: {kind: adam, learning_rate: 1e-2}}
"""
AUGMENT = """\
augment: {rotation_range: 20, width_shift_range: 0.1, zoom_range: 0.1, channel_shift_range: 9, mixup: 0.2, cutmix: 1}
"""


def test_only_training_images_are_augmented_and_the_seed_determines_the_run(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(BASE)
    (tmp_path / "augmented.yaml").write_text(BASE + AUGMENT)
    still = ("-s", "train.optimizer.learning_rate=1e-30")
    processes.run_all(
        ("train", "plain.yaml", "-q", *still),
        ("train", "augmented.yaml", "-q", *still),
        ("train", "augmented.yaml", "-q", "--name", "first"),
        ("train", "augmented.yaml", "-q", "--name", "second"),
        ("train", "augmented.yaml", "-q", "--name", "other", "--seed", "1"),
        folder=tmp_path,
    )
    plain, augmented, first, second, other = (
        rows(tmp_path / "runs" / name) for name in ("plain", "augmented", "first", "second", "other")
    )
    for one, another in zip(plain, augmented, strict=True):  # of one untrained network
        assert one["val_loss"] == another["val_loss"]
        assert one["train_loss"] != another["train_loss"]
    assert augmented[0]["train_loss"] != augmented[1]["train_loss"]  # other images in the next epoch
    assert first == second
    assert first != other


def test_statistics_of_the_input_come_from_the_training_split(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8)
    y = np.arange(40) % 2
    np.savez(tmp_path / "data.npz", x_train=x[:20], y_train=y[:20], x_val=x[20:30], y_val=y[20:30], x_test=x[30:] // 9)
    with np.load(tmp_path / "data.npz") as arrays:
        np.savez(tmp_path / "data.npz", **arrays, y_test=y[30:])
    (tmp_path / "r.yaml").write_text(
        "task: classification\ndata: {kind: npz, path: data.npz}\nmodel: {kind: mlp, units: [4]}\n"
        "augment: {featurewise_std_normalization: true}\ntrain: {epochs: 1}\n"
    )
    processes.run("train", "r.yaml", folder=tmp_path, prepare=processes.without_plots).expect(0)
    from dlcli.runtime.model_files import load_keras_file

    layer = load_keras_file(tmp_path / "runs" / "r" / "model.keras").get_layer("featurewise")
    scaled = x[:20].astype(np.float64) / 255
    np.testing.assert_allclose(np.asarray(layer.mean).ravel(), scaled.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.asarray(layer.variance)).ravel(), scaled.std(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("color_jitter: {hue: 0.1}", "r.yaml:5:31: augment.color_jitter.hue: grayscale images have no hue"),
        (
            "color_jitter: {saturation: 0.1}",
            "r.yaml:5:38: augment.color_jitter.saturation: grayscale images have no saturation",
        ),
        (
            "width_shift_range: 80",
            "r.yaml:5:30: augment.width_shift_range: shifts 80 pixels by 80; at most 79",
        ),
        (
            "height_shift_range: [-81, 2]",
            "r.yaml:5:31: augment.height_shift_range: shifts 80 pixels by 81; at most 79",
        ),
        ("zca_whitening: true", "r.yaml:5:26: augment.zca_whitening: images of at most 4,096 values can be whitened"),
    ],
)
def test_augmentation_that_does_not_fit_the_data_is_refused(tmp_path: Path, augment: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(BASE.replace("[12, 12]", "[80, 80]") + f"augment: {{{augment}}}\n")
    done = processes.run("train", "r.yaml", folder=tmp_path).expect(2)
    assert done.stderr.splitlines()[-1].startswith(message)
    assert not (tmp_path / "runs").exists()


def test_dry_run_and_overfit_with_augmentation(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(BASE + AUGMENT)
    plan = json.loads(processes.run("train", "r.yaml", "--dry-run", "--json", folder=tmp_path).expect(0).stdout)
    assert plan["batch"]["y.class"] == [16, 10]
    assert plan["batch"]["x"] == [16, 12, 12, 1]
    done = processes.run("train", "r.yaml", "--overfit", "1", folder=tmp_path).expect(0)  # of unchanged images
    assert "overfitted" in done.stdout
