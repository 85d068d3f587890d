"""The features of frozen layers: computed once per sample, cached on disk, and used by later epochs and runs.

A file of features is named by a key: a hash of the frozen layers and their weights, the contents of the samples and how
they are resized, and the versions of the libraries that the values may depend on. If any of these changes, so does the
key.
"""

import hashlib
import json
import os
import re
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.images.batches import Batches
from dlcli.data.images.samples import Samples
from dlcli.errors import CheckFailed, InputError
from dlcli.replicas import divided
from dlcli.rundir.reading import file_digest, read_json
from dlcli.rundir.writing import replace_by, replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.images.batches import batches

FOLDER = ".features"  # in the folder of the runs
OWN_NAME = re.compile(r"[0-9a-f]{32}\.npy")  # of a file of features
FEATURE_BATCH = 32  # samples; fixed, because the batch size may change the last bits of a result
MEMORY_BYTES = 512 * 2**20  # a split's features are held in memory up to this size
DISK_BYTES = 4 * 2**30  # of all cached features; beyond it the least recently used files are deleted


class FeatureCache:
    """The cached features of all runs in one folder."""

    def __init__(self, runs: Path, console: Console) -> None:
        self._folder = runs / FOLDER
        self._console = console

    def features(self, front: keras.Model, samples: Samples, *, split: str) -> NDArray[np.float32]:
        """The outputs of the frozen layers for each sample, float32 ``[n, ...]``: in memory, or memory-mapped if large.

        Args:
            front: the frozen layers at the network's input.
            samples: the samples of a split.
            split: its name, for messages.

        Raises:
            InputError: a sample can no longer be read.
            CheckFailed: the features are not finite.
            OSError: the disk is full.
        """
        path = self._folder / f"{key_of(front, samples)}.npy"
        if self._is_sound(path):
            self._console.say(f"features of {split}: {len(samples):,} read from {path}")
            os.utime(path)  # marks it as recently used
        else:
            started = time.monotonic()
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_by(path, lambda temporary: self._compute(front, samples, temporary))
            replace_json(path.with_suffix(".json"), {"sha256": file_digest(path), "split": split, "num": len(samples)})
            self._console.say(
                f"features of {split}: {len(samples):,} computed in {time.monotonic() - started:.1f} s, saved to {path}"
            )
            self._make_room(path)
        mapped: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.array(mapped) if mapped.nbytes <= MEMORY_BYTES else mapped

    def _compute(self, front: keras.Model, samples: Samples, path: Path) -> None:
        data = batches(samples, batch_size=FEATURE_BATCH)

        features = divided(lambda x: tf.cast(front(x, training=False), tf.float32))

        def one_step(source: Any, step: Any) -> Any:
            return features(data.assemble(data.element(source, step))["x"])

        compiled = tf.function(one_step, autograph=False)
        shape = (len(samples), *front.output_shape[1:])
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        try:
            source = data.source(0)
            for step in range(data.num_steps):
                first = step * FEATURE_BATCH
                values = compiled(source, tf.constant(step, tf.int64)).numpy()
                if not np.isfinite(values).all():
                    raise CheckFailed("the features of the frozen layers are not finite: check their weights.")
                file[first : first + FEATURE_BATCH] = values
                self._console.computing_features(step + 1, data.num_steps)
        except Exception:
            if data.failure is not None:
                raise data.failure from None
            raise
        finally:
            self._console.close()
        file.flush()

    def _is_sound(self, path: Path) -> bool:
        """Whether the file exists and is what was written."""
        try:
            return bool(file_digest(path) == read_json(path.with_suffix(".json")).get("sha256"))
        except InputError:
            return False

    def _make_room(self, newest: Path) -> None:
        own = (file for file in self._folder.glob("*.npy") if OWN_NAME.fullmatch(file.name))  # nothing else is deleted
        files = sorted(own, key=lambda file: file.stat().st_mtime, reverse=True)
        total = newest.stat().st_size
        for file in files:
            total += 0 if file == newest else file.stat().st_size
            if total > DISK_BYTES and file != newest:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)


def key_of(front: keras.Model, samples: Samples) -> str:
    """The name of the file that caches the features of these samples."""
    digest = hashlib.sha256(front.to_json().encode())
    for variable in front.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    policy = None if samples.policy is None else asdict(samples.policy)
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
    device = "gpu" if tf.config.get_visible_devices("GPU") else "cpu"
    digest.update(json.dumps([samples.digests, policy, versions, device], default=str).encode())
    return digest.hexdigest()[:32]


def feature_batches(
    features: NDArray[np.float32], samples: Samples, *, batch_size: int, seed: int | None, balanced: bool = False
) -> Batches:
    """Batches of features, in the order in which the samples' own batches would come."""
    is_small = features.nbytes <= MEMORY_BYTES
    return Batches(
        labels=samples.labels,
        targets=samples.targets(),
        pixels=features if is_small else None,
        load=lambda index: np.asarray(features[index]),
        shape=features.shape[1:],
        batch_size=batch_size,
        seed=seed,
        dtype=tf.float32,
        balanced=balanced,
    )
