"""Five-fold cross-validation of localization on a Pascal VOC folder, compared with the mean box of each fold.

    python benchmarks/localization_folds.py DIR [--weights FILE] [--seeds 1] [--work FOLDER]

Photos with one object are divided into five folds, with identical photos in the same fold. Each fold is the test split
once, and an eighth of the rest the validation split. Prints mean IoU and accuracy at IoU 0.5 of the network and of the
mean box of its training photos, for each fold and on average. Each fold is a run of `dlcli train` on a CSV file with a
split column.
"""

import argparse
import csv
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from measure import ROOT, machine

from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.voc import read_voc

FOLDS = 5
RECIPE = ROOT / "recipes" / "localize_photos.yaml"


def photos(folder: Path) -> list[dict[str, str]]:
    """Rows of split.csv for all photos with one object, with their positions in a shuffled order of contents."""
    dataset = read_voc(
        path=folder,
        images=None,
        annotations=None,
        train_list=None,
        validation_list=None,
        test_list=None,
        reading=BoxReading(several="leave_out"),
        image_size=(64, 64),
        color_mode="rgb",
        resize="stretch",
        interpolation="bilinear",
        antialias=True,
        validation=0.0,
        test=0.0,
        split_seed=0,
        limit=None,
        allow_leakage=False,
    )
    rows = dataset.split_rows()
    contents = sorted({row["digest"] for row in rows}, key=lambda digest: hashlib.sha256(digest.encode()).hexdigest())
    place = {digest: number for number, digest in enumerate(contents)}
    return [{**row, "place": str(place[row["digest"]])} for row in rows]


def write_fold(rows: list[dict[str, str]], folder: Path, fold: int, path: Path) -> None:
    """Writes a CSV file with the fold as test split, and every eighth of the other contents as validation split."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "xmin", "ymin", "xmax", "ymax", "split"])
        for row in rows:
            place = int(row["place"])
            split = "test" if place % FOLDS == fold else "validation" if place // FOLDS % 8 == fold else "train"
            corners = [row[name] for name in ("xmin", "ymin", "xmax", "ymax")]
            writer.writerow([folder / row["file"], row["label"], *corners, split])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    print(machine())
    work = options.work or Path(tempfile.mkdtemp())
    rows = photos(options.folder.absolute())
    recipe = yaml.safe_load(RECIPE.read_text())
    for key in ("kind", "path", "several"):
        del recipe["data"][key]
    if options.weights is not None:
        recipe["model"]["weights"] = str(options.weights.absolute())
    found = []
    for fold in range(FOLDS):
        write_fold(rows, options.folder.absolute(), fold, work / f"fold{fold}.csv")
        recipe["data"] |= {"kind": "csv", "path": f"fold{fold}.csv", "split": "split"}
        (work / f"fold{fold}.yaml").write_text(yaml.safe_dump(recipe))
        for seed in range(options.seeds):
            command = [sys.executable, "-m", "dlcli", "train", f"fold{fold}.yaml", "--quiet", "--json"]
            done = subprocess.run([*command, "--seed", str(seed)], cwd=work, stdout=subprocess.PIPE, check=True)
            final = json.loads(done.stdout)["final"]
            values = [
                final[f"test_{b}{name}"] for b in ("", "baseline_") for name in ("mean_iou", "localization_accuracy")
            ]
            found.append(values)
            shown = "  ".join(f"{value:.4f}" for value in values)
            print(f"fold {fold} seed {seed}: IoU, accuracy at 0.5, of the mean box: {shown}", flush=True)
    means = "  ".join(f"{statistics.mean(column):.4f}" for column in zip(*found, strict=True))
    print(f"means:         IoU, accuracy at 0.5, of the mean box: {means}")
    gains = [values[0] - values[2] for values in found]
    print(f"gain in mean IoU over the mean box: {min(gains):.4f} to {max(gains):.4f}")


if __name__ == "__main__":
    main()
