"""What `dlcli data` reports about objects."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dlcli.data.boxes.objects import NAME, ObjectBoxes, objects_of
from dlcli.data.images.samples import Dataset
from dlcli.recipe.sections.detection_data import SceneObjects
from dlcli.recipe.sections.detection_model import Fcos, Retinanet
from dlcli.runtime.console import Console
from dlcli.tasks.detection import inspection
from dlcli.tasks.detection.sources import read_dataset
from dlcli.tasks.images.copies import copy_findings, find_copies
from dlcli.tasks.inspection import Finding

FCOS = Fcos.model_construct(kind="fcos", levels=(2, 3))


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    section = SceneObjects(kind="scenes", num_samples=30, image_size=(32, 48), test=0.2, validation=0.2)
    return read_dataset(section, Console(quiet=True))


def objects(dataset: Dataset, split: str = "train") -> ObjectBoxes:
    found = objects_of(dataset.splits[split])
    assert found is not None
    return found


def changed(dataset: Dataset, split: str = "train", **changes: Any) -> Dataset:
    samples = dataset.splits[split]
    own = replace(objects(dataset, split), **changes)
    return replace(dataset, splits={**dataset.splits, split: replace(samples, annotations={NAME: own})})


def findings(dataset: Dataset, **options: Any) -> dict[str, Finding]:
    found = inspection.findings(dataset, **{"model": FCOS, **options})
    return {finding.kind: finding for finding in found}


def test_counts_are_those_of_objects(scenes: Dataset) -> None:
    counts = inspection.counts(scenes)
    assert set(counts) == {"train", "validation", "test"}
    for split, of_class in counts.items():
        assert list(of_class.values()) == np.bincount(objects(scenes, split).labels, minlength=4).tolist()


def test_notes_count_images_objects_negatives_crowds_and_difficult_ones(scenes: Dataset) -> None:
    boxes = objects(scenes)
    num = len(boxes.labels)
    marks = np.zeros(num, np.bool_)
    first, second = boxes.counts[:2]
    is_crowd, is_difficult = marks.copy(), marks.copy()
    is_crowd[:first] = True
    is_difficult[first : first + second] = True
    lines = inspection.notes(changed(scenes, is_crowd=is_crowd, is_difficult=is_difficult), FCOS)
    most = int(boxes.counts.max())
    assert lines[0] == (
        f"train: 18 images, {num - first - second} objects, {first} crowds, {second} difficult; at most {most} in an "
        "image"
    )
    assert lines[1].startswith("train, objects: circle ")
    assert lines[2].startswith("validation: 6 images, ")
    empty = objects(scenes).take(np.array([], np.int64))
    negatives = changed(scenes, **{**vars(empty), "offsets": np.zeros(19, np.int64), "frames": objects(scenes).frames})
    assert (
        inspection.notes(negatives, FCOS)[0] == "train: 18 images, 0 objects, 18 without objects; at most 0 in an image"
    )
    assert inspection.statistics(negatives)["anchors"] is None


def test_objects_that_are_cropped_away_are_counted(scenes: Dataset) -> None:
    assert scenes.policy is not None
    policy = replace(scenes.policy, resize="crop", image_size=(16, 48))  # of 32 rows those from 8 to 24
    cropped = replace(scenes, policy=policy)
    boxes = objects(scenes)
    middle = np.clip(boxes.corners[:, [1, 3]], 8, 24)
    left = (middle[:, 1] - middle[:, 0]) / (boxes.corners[:, 3] - boxes.corners[:, 1])
    few = int((left < 0.3 - 1e-9).sum())
    assert few > 1
    lines = inspection.notes(changed(cropped, min_visible=0.3), FCOS)
    assert lines[-1] == (
        f"train: {few} objects are not trained on: data.resize: crop leaves too little of them (data.min_visible)"
    )


def test_statistics(scenes: Dataset) -> None:
    found = inspection.statistics(scenes)
    train = found["objects"]["train"]
    boxes = objects(scenes)
    assert (train["images"], train["negatives"], train["objects"]) == (18, 0, len(boxes.labels))
    assert sum(train["sizes"].values()) == len(boxes.labels)
    assert train["per_image"]["maximum"] == boxes.counts.max()
    assert sum(row["objects"] for row in train["classes"].values()) == len(boxes.labels)
    anchors = found["anchors"]
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    assert anchors["sizes_in_input"]["median"] == pytest.approx(np.median(np.sqrt(sides.prod(axis=1))), rel=1e-5)
    assert anchors["fitting"] > 0.8
    assert len(anchors["anchor_sizes"]) == 3


def test_sizes_are_those_in_the_networks_input(scenes: Dataset) -> None:
    assert scenes.policy is not None
    half = replace(scenes.policy, image_size=(16, 24))
    whole = inspection.statistics(scenes)["anchors"]["sizes_in_input"]
    found = inspection.statistics(replace(scenes, policy=half))["anchors"]["sizes_in_input"]
    assert found["median"] == pytest.approx(whole["median"] / 2, rel=1e-5)


def test_a_sound_data_set_has_no_findings(scenes: Dataset) -> None:
    assert findings(scenes, image_size=(320, 480)) == {}


def test_missing_and_rare_classes(scenes: Dataset) -> None:
    rare = np.ones(len(objects(scenes).labels), np.int32)
    rare[0] = 0
    found = findings(changed(scenes, labels=rare), image_size=(320, 480))
    assert found["missing class"].is_problem
    assert found["missing class"].text == "train has no object of 2 of the 4 classes: square, triangle"
    every = np.concatenate([np.arange(4), np.full(len(rare) - 4, 2)]).astype(np.int32)
    found = findings(changed(scenes, labels=every), image_size=(320, 480))
    assert found["imbalance"].text.endswith("times as many objects as the smallest: circle, cross, triangle")
    in_test = findings(changed(scenes, "test", labels=objects(scenes, "test").labels * 0), image_size=(320, 480))
    assert not in_test["missing class"].is_problem


def test_images_without_objects_are_named(scenes: Dataset) -> None:
    kept = objects(scenes, "test")
    nothing = replace(kept.take(np.array([], np.int64)), offsets=np.zeros(len(kept) + 1, np.int64), frames=kept.frames)
    found = findings(changed(scenes, "test", **vars(nothing)), image_size=(320, 480))
    assert found["no objects"].text.startswith("test: 6 images have no objects: scenes/")
    assert len(found["no objects"].samples) == 6


def test_contradicting_and_repeated_boxes_are_named(scenes: Dataset) -> None:
    boxes = objects(scenes)
    image = int(np.flatnonzero(boxes.counts > 1)[0])
    start = boxes.offsets[image]
    corners, labels = boxes.corners.copy(), boxes.labels.copy()
    corners[start + 1] = corners[start]
    name = scenes.splits["train"].names[image]
    labels[start + 1] = labels[start]
    found = findings(changed(scenes, corners=corners, labels=labels), image_size=(320, 480))
    assert found["repeated objects"].text == f"train: 1 image has two nearly equal boxes of one class: {name}"
    labels[start + 1] = (labels[start] + 1) % 4
    found = findings(changed(scenes, corners=corners, labels=labels), image_size=(320, 480))
    assert found["contradicting objects"].samples == (name,)


def test_tiny_objects_are_counted_in_the_recipes_size(scenes: Dataset) -> None:
    found = findings(scenes, image_size=(8, 12))
    num = len(objects(scenes).labels)
    assert found["tiny objects"].text.startswith(f"{num:,} of {num:,} training objects are less than 8 pixels wide")
    assert not found["tiny objects"].is_problem


def test_classes_whose_boxes_fit_no_anchor_are_named_with_anchors_that_fit(scenes: Dataset) -> None:
    boxes = objects(scenes)
    width, height = (4 * (boxes.corners[:, 2:] - boxes.corners[:, :2])).T  # in an input of 128x192
    shared = np.minimum(width, 24) * np.minimum(height, 24)
    fits = shared / (width * height + 24**2 - shared) >= 0.5
    shares = {name: fits[boxes.labels == label].mean() for label, name in enumerate(scenes.classes)}
    small = Retinanet.model_construct(kind="retinanet", levels=(3,), anchor_sizes=(3.0,), anchor_ratios=(1.0,))
    text = findings(scenes, image_size=(128, 192), model=small)["poor fit"].text
    poor = ", ".join(f"{name} ({share:.0%})" for name, share in shares.items() if share < 0.8)
    assert poor
    few = "train: few boxes of these classes have an anchor of a similar size and shape (IoU >= 0.5)"
    assert text.startswith(f"{few}: {poor}. model.levels: ")
    assert scenes.policy is not None
    enlarged = replace(scenes, policy=replace(scenes.policy, image_size=(128, 192)))
    assert inspection.notes(enlarged, small)[-1] == text
    fitting = Retinanet.model_construct(
        kind="retinanet", levels=(3,), anchor_sizes=(3.0, 4.5, 6.5), anchor_ratios=(1.0,)
    )
    assert "poor fit" not in findings(scenes, image_size=(128, 192), model=fitting)


def test_classes_whose_objects_are_small_for_the_finest_level_are_named(scenes: Dataset) -> None:
    boxes = objects(scenes)
    sizes = np.sqrt(np.prod(4 * (boxes.corners[:, 2:] - boxes.corners[:, :2]), axis=1))  # in an input of 128x192
    medians = {name: np.median(sizes[boxes.labels == label]) for label, name in enumerate(scenes.classes)}
    assert max(medians.values()) < 3 * 16
    assert min(medians.values()) >= 3 * 4
    from_16 = Fcos.model_construct(kind="fcos", levels=(4, 5))
    text = findings(scenes, image_size=(128, 192), model=from_16)["poor fit"].text
    small = ", ".join(f"{name} ({size:.0f} pixels)" for name, size in medians.items())
    assert f"a stride of 16 pixels: {small}. model.levels: [3, 4, 5] finds small objects better" in text
    for levels, image_size in (((2, 3), (128, 192)), ((2, 3), (8, 12)), ((3, 4), (512, 768))):
        model = Fcos.model_construct(kind="fcos", levels=levels)
        assert "poor fit" not in findings(scenes, image_size=image_size, model=model), (levels, image_size)


def test_the_plot_is_an_image(scenes: Dataset) -> None:
    assert inspection.plot(scenes).startswith(b"\x89PNG")


def test_copies_with_other_objects_are_conflicts() -> None:
    section = SceneObjects(kind="scenes", num_samples=4, image_size=(32, 32), test=0.0, validation=0.0)
    dataset = read_dataset(section, Console(quiet=True))
    train, boxes = dataset.splits["train"], objects(dataset)
    assert train.pixels is not None
    pixels = train.pixels.copy()
    pixels[1] = pixels[0]
    copied = replace(train, pixels=pixels, digests=("a", "a", *train.digests[2:]))
    found = find_copies(replace(dataset, splits={"train": copied}), Console(quiet=True))
    for i in (0, 1):
        of_class = np.bincount(boxes.labels[boxes.offsets[i] : boxes.offsets[i + 1]])
        expected = [f"{number} {name}" for name, number in zip(dataset.classes, of_class, strict=False) if number]
        assert found.named.labels[i] == ", ".join(expected)
    assert found.named.labels[0] != found.named.labels[1]
    kinds = {finding.kind: finding for finding in copy_findings(found)}
    assert kinds["duplicates with different objects"].is_problem
    assert kinds["duplicates with different objects"].samples == (train.names[:2],)
