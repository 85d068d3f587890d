"""The copy tasks: their batches in a compiled step, their test split and their fingerprint."""

import numpy as np
import tensorflow as tf

from dlcli.data.synthetic.copy_tasks import TRAIN, CopyTask, Made, MadeBatches, MadeDataset

TASK = CopyTask(lengths=(1, 5), bits=4, repeats=(1, 3), seed=0)


def test_a_compiled_step_gets_the_batch_of_its_epoch_and_step() -> None:
    data = MadeBatches(TASK, part=TRAIN, num_samples=10, batch_size=4)
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    for epoch, step in ((0, 0), (1, 2)):
        batch = compiled(data.source(epoch), tf.constant(step, tf.int64))
        x, bits, mask = data.make(epoch, step)
        np.testing.assert_array_equal(batch["x"], x)
        np.testing.assert_array_equal(batch["y"]["bits"], bits)
        np.testing.assert_array_equal(batch["y"]["asked"], mask)
        assert batch["weight"].numpy().tolist() == [1.0] * len(x)
        assert len(x) == (2 if step == 2 else 4)


def test_the_fingerprint_depends_on_the_parameters() -> None:
    def dataset(seed: int = 0, num: int = 9) -> MadeDataset:
        task = CopyTask(lengths=(1, 5), bits=4, repeats=None, seed=seed)
        return MadeDataset(task, {"train": Made(num)}, test=((10, 1),))

    assert dataset().fingerprint() == dataset().fingerprint()
    assert len({dataset().fingerprint(), dataset(seed=1).fingerprint(), dataset(num=8).fingerprint()}) == 3
    (row,) = dataset().split_rows()
    assert (row["file"], row["split"], row["label"]) == ("made/train", "train", "9 sequences")
    x, _, _ = dataset().test_part(10, 1)
    np.testing.assert_array_equal(x, dataset().test_part(10, 1)[0])
    assert x.shape == (200, 21, 5)
