"""One, two and three devices train the same model, whatever is trained and whatever is drawn in a step."""

from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import outcome, rows  # type: ignore[import-not-found]

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # tests/training/test_replicas.py compares steps on images

PARTS = 6  # of a batch, which one, two and three devices divide
DETECTOR_BLOCKS = "[{filters: 4, batch_norm: true}, {filters: 8}, {filters: 8}, {filters: 8}, {filters: 8}]"
RECIPES = {
    "mixed": """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 43}
augment: {rotation_range: 10, horizontal_flip: true, mixup: 0.4, cutmix: 1.0}
model: {kind: convnet, blocks: [{filters: 4, batch_norm: true, dropout: 0.1}], dense: [8], dropout: 0.3}
train: {epochs: 2, label_smoothing: 0.1""",
    "attacked": """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 43}
augment: {width_shift_range: 0.1}
model: {kind: convnet, blocks: [{filters: 4, batch_norm: true}], dense: [8], dropout: 0.3}
train:
  {stages: [{name: head, epochs: 1, trainable: head}, {name: all, epochs: 2}],
   class_weights: balanced, adversarial: {attack: pgd, eps: 0.1, steps: 2, ratio: 0.5}""",
    "sequences": """\
task: sequence_regression
data: {kind: adding, length: 12, num_samples: 61}
model: {kind: recurrent, cell: gru, units: 6, dropout: 0.3, recurrent_dropout: 0.2}
train: {epochs: 2, gradient_clipping: {kind: global_norm, value: 1.0}""",
    "language": """\
task: language_model
data: {kind: text, path: text.txt}
model: {kind: transformer, causal: true, layers: 1, heads: 2, units: 8, dropout: 0.2}
train: {epochs: 1""",
    "detection": f"""\
task: detection
data: {{kind: scenes, num_samples: 31, image_size: [32, 48]}}
augment: {{horizontal_flip: true, mosaic: 0.5}}
model:
  {{kind: fcos, levels: [3, 4], channels: 8, num_convs: 1,
   backbone: {{kind: convnet, blocks: {DETECTOR_BLOCKS}}}}}
train: {{stages: [{{name: head, epochs: 1, trainable: head}}, {{name: all, epochs: 1}}]""",
}


@pytest.mark.parametrize("kind", list(RECIPES))
def test_several_devices_give_the_results_of_one(tmp_path: Path, kind: str) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 20)
    train = f"batch_size: 12, gradient_accumulation: {PARTS}, optimizer: {{kind: sgd, learning_rate: 0.05}}"
    (tmp_path / f"{kind}.yaml").write_text(f"{RECIPES[kind]}, {train}}}\n")
    for device in ("cpu", "cpu:x2", "cpu:x3"):
        name = device.replace(":", "-")
        command = ("train", f"{kind}.yaml", "--name", name, "--device", device)
        processes.run(*command, folder=tmp_path, prepare=processes.without_plots).expect(0)
    one = tmp_path / "runs" / "cpu"
    weights = {key: value for key, value in outcome(one).items() if key.startswith("model.keras ") and "vars" in key}
    assert len(weights) > 3
    for name in ("cpu-x2", "cpu-x3"):
        several = outcome(tmp_path / "runs" / name)
        for key, value in weights.items():
            np.testing.assert_allclose(several[key], value, rtol=1e-5, atol=1e-5, err_msg=f"{name} {key}")
        for row, other in zip(rows(one), rows(tmp_path / "runs" / name), strict=True):
            for column in row.keys() - {"stage"}:
                assert float(other[column]) == pytest.approx(float(row[column]), rel=1e-5, abs=1e-5), column
