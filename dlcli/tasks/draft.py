"""Drafts a recipe for given data, whose layout suggests the task. Needs no TensorFlow."""

import os
from pathlib import Path
from typing import Any, Literal

from dlcli.data.boxes.boxes import BOX_COLUMNS
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.tasks.detection.drafting import draft_detection, draft_instances, find_instances
from dlcli.tasks.draft_table import read_table
from dlcli.tasks.draft_text import Draft
from dlcli.tasks.images.box_drafting import draft_localization, find_boxes
from dlcli.tasks.images.drafting import draft_images
from dlcli.tasks.images.target_drafting import draft_targets
from dlcli.tasks.layout import Layout, recognize
from dlcli.tasks.segmentation.drafting import draft_mask_table, draft_masks, draft_polygons
from dlcli.tasks.sequences.drafting import draft_sequences

BoxTask = Literal["localization", "detection", "instance_segmentation", "segmentation"]


def draft_recipe(data: Path, folder: Path, task: BoxTask | None = None) -> Draft:
    """Draft a recipe for a folder or a file: for text or series if it holds any, else for images.

    Args:
        data: the folder or file with the samples.
        folder: where the recipe will be written; the path of the data in it is relative to this folder.
        task: what to predict of images with boxes or masks. Default: detection if an image has several objects with
            boxes; instance segmentation if the values of masks are probably ids of objects, else segmentation.

    Raises:
        InputError: no recipe can be drafted for these data.
    """
    if not data.exists():
        raise InputError(f"{data}: no such file or folder")
    if not data.is_dir() and not data.is_file():
        raise InputError(f"{data}: expected a file or folder. Received a pipe or device")
    layout = recognize(data)
    draft = draft_layout(layout, folder, task)
    return draft if layout.path == data else Draft((f"data: {layout.path}", *draft.seen), draft.text)


def draft_layout(layout: Layout, folder: Path, task: BoxTask | None = None) -> Draft:
    """Draft a recipe for data that are recognized, as :func:`draft_recipe`."""
    try:
        masked = _draft_masks(layout, folder, task) if task not in ("localization", "detection") else None
        if masked is not None:
            return masked
        if task == "segmentation":
            raise InputError(
                f"{layout.path}: --task segmentation is for images beside masks or files of polygons. Received none of "
                "these: leave the option out."
            )
        draft = draft_sequences(layout, folder)
        boxes = find_boxes(layout, folder, needs_masks=task == "instance_segmentation") if draft is None else None
        if boxes is not None:
            if not boxes.most:
                raise InputError(f"{layout.path}: no image has an object. Give images of which some have objects.")
            if task == "instance_segmentation":
                return draft_instances(boxes, source=layout.path)
            if boxes.is_padded and task == "localization":
                raise InputError(
                    f"{layout.path}: --task localization is for arrays x, y and box, with one object for each image. "
                    "Received boxes and box_class: leave the option out."
                )
            has_several = boxes.most > 1 or boxes.is_padded if task is None else task == "detection"
            return draft_detection(boxes) if has_several else draft_localization(boxes)
        if task == "instance_segmentation":
            raise InputError(
                f"{layout.path}: --task instance_segmentation is for images whose objects have masks: a folder of "
                "images beside one of masks, a COCO .json, or YOLO polygons. Received none of these: add the masks, or "
                "leave the option out."
            )
        if task is not None:
            raise InputError(
                f"{layout.path}: --task is for images with boxes: Pascal VOC, COCO, YOLO, or a .csv with the columns "
                f"{', '.join(BOX_COLUMNS)}. Received none of these: leave the option out."
            )
        return draft or draft_images(layout, folder)
    except OSError as error:
        raise InputError(f"{error.filename or layout.path}: cannot be read: {error.strerror}") from None


def _draft_masks(layout: Layout, folder: Path, task: BoxTask | None) -> Draft | None:
    """A draft for images with masks or polygons, in folders or in a table; None for anything else."""
    if layout.kind == "masks":
        is_chosen = task == "instance_segmentation"
        draft = None if is_chosen else draft_masks(layout.path, folder, of_ids=task == "segmentation")
        if draft is not None:
            return draft
        of_objects = draft_instances(find_instances(layout.path, folder), source=layout.path)
        seen = () if is_chosen else ("masks: probably an id for each object; --task segmentation learns one class",)
        return Draft((*of_objects.seen, *seen), of_objects.text)
    if task == "instance_segmentation":
        return None
    if layout.kind == "polygons":
        return draft_polygons(layout.path, folder)
    return draft_mask_table(layout.path, folder) if layout.kind == "file" else None


def table_of_targets(layout: Layout) -> tuple[str, dict[str, Any]] | None:
    """The task and the ``data`` section, with absolute paths, for a table of images with labels or numbers to predict.

    Returns:
        None for anything else.

    Raises:
        InputError: the table cannot be read.
    """
    if layout.kind != "file" or suffix_of(layout.path) != ".csv":
        return None
    draft = draft_targets(read_table(layout.path), os.path.abspath(layout.path), Path("/"))
    if draft is None:
        return None
    keys = {key: value for key, value, _ in draft.source}
    return draft.task[1], keys | {key: os.path.join("/", keys[key]) for key in ("path", "images") if key in keys}
