"""What a frozen part of a network makes of the samples: computed once, kept on disk, used by later epochs and runs.

A file of features is found by a key: a hash over the frozen layers and their weights, the samples' contents and how
they are brought to size, and the versions that the numbers may depend on. Whatever changes, the key does.
"""

import hashlib
import json
import os
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches
from dlcli.data.images.samples import Samples
from dlcli.errors import CheckFailed, InputError
from dlcli.rundir import file_digest, read_json, replace_by, replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.images.batches import batches

FOLDER = ".features"  # among the runs
COMPUTED_AT_A_TIME = 32  # samples; fixed, for a result may differ in its last bits by how many are computed at once
MEMORY_BYTES = 512 * 2**20  # of a split's features that are kept in memory
DISK_BYTES = 4 * 2**30  # of all files of features: the ones that were not used for longest are removed


class FeatureCache:
    """The files of features among the runs of one folder."""

    def __init__(self, runs: Path, console: Console) -> None:
        self._folder = runs / FOLDER
        self._console = console

    def features(self, front: keras.Model, samples: Samples, *, split: str) -> NDArray[np.float32]:
        """What a front makes of each sample, float32 ``[n, ...]``: in memory, or where large mapped from its file.

        Raises:
            InputError: a sample cannot be read any more.
            OSError: the disk is full.
        """
        path = self._folder / f"{key_of(front, samples)}.npy"
        if self._is_sound(path):
            self._console.say(f"features of {split}: {len(samples):,}, from {path}")
            os.utime(path)  # it was used
        else:
            began = time.monotonic()
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_by(path, lambda temporary: self._compute(front, samples, temporary))
            replace_json(path.with_suffix(".json"), {"sha256": file_digest(path), "split": split, "num": len(samples)})
            self._console.say(
                f"features of {split}: {len(samples):,} computed in {time.monotonic() - began:.1f} s, kept in {path}"
            )
            self._make_room(path)
        mapped: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.array(mapped) if mapped.nbytes <= MEMORY_BYTES else mapped

    def _compute(self, front: keras.Model, samples: Samples, path: Path) -> None:
        data = batches(samples, batch_size=COMPUTED_AT_A_TIME)

        def one_step(source: Any, step: Any) -> Any:
            return tf.cast(front(data.assemble(data.element(source, step))["x"], training=False), tf.float32)

        compiled = tf.function(one_step, autograph=False)
        shape = (len(samples), *front.output_shape[1:])
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        try:
            source = data.source(0)
            for step in range(data.num_steps):
                first = step * COMPUTED_AT_A_TIME
                values = compiled(source, tf.constant(step, tf.int64)).numpy()
                if not np.isfinite(values).all():
                    raise CheckFailed("the features of the frozen layers are not finite: look at their weights.")
                file[first : first + COMPUTED_AT_A_TIME] = values
                self._console.computing_features(step + 1, data.num_steps)
        except Exception:
            if data.failure is not None:
                raise data.failure from None
            raise
        finally:
            self._console.close()
        file.flush()

    def _is_sound(self, path: Path) -> bool:
        """Whether the file is there, and what was written."""
        try:
            return bool(file_digest(path) == read_json(path.with_suffix(".json")).get("sha256"))
        except (OSError, InputError):
            return False

    def _make_room(self, newest: Path) -> None:
        files = sorted(self._folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = newest.stat().st_size
        for file in files:
            total += 0 if file == newest else file.stat().st_size
            if total > DISK_BYTES and file != newest:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)


def key_of(front: keras.Model, samples: Samples) -> str:
    """The name under which the features of these samples are kept."""
    digest = hashlib.sha256(front.to_json().encode())
    for variable in front.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    policy = None if samples.policy is None else asdict(samples.policy)
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
    device = "gpu" if tf.config.get_visible_devices("GPU") else "cpu"
    digest.update(json.dumps([samples.digests, policy, versions, device], default=str).encode())
    return digest.hexdigest()[:32]


def feature_batches(features: NDArray[np.float32], samples: Samples, *, batch_size: int, seed: int | None) -> Batches:
    """The batches of features, in the order in which the samples' own would come."""
    is_small = features.nbytes <= MEMORY_BYTES
    boxes = samples.relative_boxes()
    return Batches(
        labels=samples.labels,
        targets=() if boxes is None else (BoxTarget(boxes),),
        pixels=features if is_small else None,
        load=lambda index: np.asarray(features[index]),
        shape=features.shape[1:],
        batch_size=batch_size,
        seed=seed,
        dtype=tf.float32,
    )
