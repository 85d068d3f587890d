"""All of `dlcli transfer`, from start to evaluation, against features and scikit-learn's logistic regression.

    python benchmarks/whole_transfer.py PHOTOS [--weights FILE] [--rounds 3]

PHOTOS is a folder with the split folders train and val. Both sides start a process, decode the photos, crop them to
224x224, compute the features of a frozen MobileNetV2 (alpha 0.35) and fit a linear classifier on them; dlcli also
writes the run directory with model, plots and evaluation. Prints seconds of the clock and of the processor, accuracy
on val, and the ratios.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

SIDE = 224
REGRESSION = """\
import sys
from pathlib import Path
import keras
import numpy as np
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import make_pipeline

def read(split):
    paths = [path for path in sorted(Path(sys.argv[1], split).glob("*/*")) if path.suffix.lower() in (".jpg", ".png")]
    images = [np.asarray(ImageOps.fit(Image.open(path).convert("RGB"), (224, 224))) for path in paths]
    return np.stack(images).astype(np.float32), [path.parent.name for path in paths]

inputs = keras.Input((224, 224, 3))
base = keras.applications.MobileNetV2(include_top=False, weights=None, alpha=0.35, pooling="avg")
if sys.argv[2] != "none":
    base.load_weights(sys.argv[2])
model = keras.Model(inputs, base(keras.applications.mobilenet_v2.preprocess_input(inputs), training=False))
x_train, y_train = read("train")
x_val, y_val = read("val")
classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
classifier.fit(model.predict(x_train, verbose=0), y_train)
print(classifier.score(model.predict(x_val, verbose=0), y_val))
"""


def call(command: list[str], folder: str) -> tuple[float, float, str]:
    """Seconds of the clock and of the processor, and the last line of stdout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = {**os.environ, "DLCLI_CACHE": str(Path(folder, "cache"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path, help="of MobileNetV2 with alpha 0.35, without its classifier")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    photos, weights = (
        str(arguments.photos.absolute()),
        str(arguments.weights.absolute()) if arguments.weights else "none",
    )
    dlcli = [sys.executable, "-m", "dlcli", "transfer", "--base", "mobilenetv2", "--base-option", "alpha=0.35"]
    dlcli += ["--weights", weights, "--unfreeze", "none", "--data", photos, "--device", "cpu", "--quiet"]
    print(machine())
    ratios = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu, _ = call(dlcli, folder)
            (metrics,) = Path(folder).glob("runs/*/evaluation/validation/metrics.json")
            accuracy = json.loads(metrics.read_text())["accuracy"]
            wall_regression, cpu_regression, score = call([sys.executable, "-c", REGRESSION, photos, weights], folder)
        ratios.append((wall / wall_regression, cpu / cpu_regression))
        print(f"  transfer    {wall:6.1f} s  {cpu:6.1f} s CPU  accuracy {accuracy:.4f}")
        print(
            f"  regression  {wall_regression:6.1f} s  {cpu_regression:6.1f} s CPU  accuracy {float(score):.4f}",
            flush=True,
        )
    for name, values in zip(("clock", "processor"), zip(*ratios, strict=True), strict=True):
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"transfer / regression, by the {name}: {statistics.median(values):.2f} ({spread})")


if __name__ == "__main__":
    main()
