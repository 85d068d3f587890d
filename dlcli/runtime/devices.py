"""The devices that ``--device`` names; without TensorFlow, so that a wrong name is refused before it starts."""

import re
from dataclasses import dataclass

FORMS = "auto, cpu, cpu:xN, gpu, gpu:N, gpu:N,M or gpu:all"
MAX_VIRTUAL = 64  # virtual CPUs share the cores of one machine


@dataclass(frozen=True)
class Requested:
    """What is asked for.

    Attributes:
        kind: ``auto`` (a GPU if there is one), ``cpu`` or ``gpu``.
        gpus: numbers of the GPUs, each once; None for all.
        num_virtual: number of virtual CPUs.
    """

    kind: str
    gpus: tuple[int, ...] | None = (0,)
    num_virtual: int = 1

    @property
    def is_several(self) -> bool:
        """Whether more than one device may be meant."""
        return self.num_virtual > 1 or self.gpus is None or len(self.gpus) > 1


def parse_device(text: str) -> Requested:
    """The devices that a value of ``--device`` names.

    Raises:
        ValueError: the value has none of the forms; the message says what was expected.
    """
    if text in ("auto", "cpu", "gpu"):
        return Requested(text)
    if text == "gpu:all":
        return Requested("gpu", gpus=None)
    if re.fullmatch(r"cpu:x[0-9]{1,9}", text) and 1 <= int(text.removeprefix("cpu:x")) <= MAX_VIRTUAL:
        return Requested("cpu", num_virtual=int(text.removeprefix("cpu:x")))
    if re.fullmatch(r"gpu:[0-9]{1,9}(,[0-9]{1,9})*", text):
        numbers = tuple(int(number) for number in text.removeprefix("gpu:").split(","))
        if len(set(numbers)) == len(numbers):
            return Requested("gpu", gpus=numbers)
        raise ValueError("names a GPU twice")
    if text.startswith("cpu:x"):
        raise ValueError(f"expected a number of virtual CPUs from 1 to {MAX_VIRTUAL}, such as cpu:x2")
    raise ValueError(f"expected {FORMS}")
