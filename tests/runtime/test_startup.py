"""Which GPUs a process uses, by lists of GPUs that this machine does not have."""

from types import SimpleNamespace
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.runtime import startup
from dlcli.runtime.startup import Device


class Gpus:
    """In place of TensorFlow's module, with some GPUs; keeps which of them become visible."""

    def __init__(self, number: int) -> None:
        self.visible: dict[str, list[str]] = {}
        self.config = SimpleNamespace(
            list_physical_devices=lambda kind: [f"physical {index}" for index in range(number)],
            set_visible_devices=lambda chosen, kind: self.visible.update({kind: chosen}),
            experimental=SimpleNamespace(
                set_memory_growth=lambda gpu, wanted: None,
                get_device_details=lambda gpu: {"device_name": gpu.replace("physical", "GPU")},
            ),
        )

    def get_logger(self) -> Any:
        return SimpleNamespace(setLevel=lambda level: None)


@pytest.mark.parametrize(
    ("device", "worker", "expected"),
    [
        ("auto", None, [0]),
        *(("auto", worker, [worker % 3]) for worker in range(5)),
        ("gpu", 2, [0]),
        ("gpu:1", 2, [1]),
        ("gpu:2,0", None, [2, 0]),
        *(("gpu:2,0", worker, [(2, 0)[worker % 2]]) for worker in range(3)),
        ("gpu:all", None, [0, 1, 2]),
        ("gpu:all", 4, [1]),
    ],
)
def test_each_worker_uses_one_gpu_in_turn(device: str, worker: int | None, expected: list[int]) -> None:
    gpus: Any = Gpus(3)
    chosen = startup._choose_device(gpus, device, worker)
    assert gpus.visible["GPU"] == [f"physical {number}" for number in expected]
    assert chosen == Device("gpu", ", ".join(f"GPU {number}" for number in expected), len(expected))


def test_workers_compute_on_the_cpu_without_gpus_or_if_it_is_named() -> None:
    for gpus, device in ((Gpus(0), "auto"), (Gpus(2), "cpu")):
        chosen = startup._choose_device(gpus, device, 1)
        assert (chosen.kind, chosen.num_devices) == ("cpu", 1)
        assert gpus.visible == {"GPU": []}
    absent: Any = Gpus(1)
    with pytest.raises(InputError, match=r"--device gpu:0,1: no such GPU; TensorFlow sees 1\."):
        startup._choose_device(absent, "gpu:0,1", 0)
