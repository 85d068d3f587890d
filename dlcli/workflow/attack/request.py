"""The options of ``dlcli attack`` that select the model and the samples."""

import re
from dataclasses import dataclass
from pathlib import Path

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.support import check_verb
from dlcli.rundir.runs import find_run


@dataclass(frozen=True)
class Request:
    """The options that select what to attack."""

    run: str | None
    runs: Path
    data: Path | None
    split: str | None
    limit: int | None
    input_range: str | None
    classes: str | None
    transfer_to: str | None
    transfer_input_range: str | None
    has_logits: bool
    target: str | None

    @property
    def is_file(self) -> bool:
        return self.run is not None and self.run.endswith((".keras", ".h5", ".hdf5"))

    def check(self) -> None:
        """Check the options, as far as possible without TensorFlow.

        Raises:
            InputError: the options cannot be combined, or a run or file does not exist.
        """
        to_file = self.transfer_to is not None and self.transfer_to.endswith(".keras")
        if to_file and self.transfer_input_range is None:
            raise InputError(
                f"{self.transfer_to}: a model file does not record its input range. Specify the values of black and "
                "white, such as --transfer-input-range 0,255."
            )
        if not to_file and self.transfer_input_range is not None:
            raise InputError("--transfer-input-range is for --transfer-to MODEL.keras.")
        if to_file:
            read_range(str(self.transfer_input_range), "--transfer-input-range")
        if not self.is_file:
            run = find_run(self.runs, self.run)
            check_verb(load(run.config).recipe, str(run.path), "attack")
            given_options = (
                ("--input-range", self.input_range),
                ("--classes", self.classes),
                ("--logits", self.has_logits or None),
            )
            for option, given in given_options:
                if given is not None:
                    raise InputError(f"{option} is for a MODEL.keras; a run records it.")
            return
        if not str(self.run).endswith(".keras"):
            raise InputError(f"{self.run}: whole models are loaded only from .keras files, which cannot contain code.")
        if not Path(str(self.run)).exists():
            raise InputError(f"{self.run}: no such file.")
        for option, value, example in (
            ("--data", self.data, "--data photos/"),
            ("--input-range", self.input_range, "--input-range 0,255"),
            ("--classes", self.classes, "--classes ants,bees"),
        ):
            if value is None:
                raise InputError(
                    f"{self.run}: a model file does not record how it was trained. Specify {option}, such as {example}."
                )
        read_range(str(self.input_range))


def read_range(text: str, option: str = "--input-range") -> tuple[float, float]:
    """Parse two numbers separated by a comma, the lower first.

    Raises:
        InputError: the text has another form.
    """
    number = r"\s*(-?[0-9]*\.?[0-9]+)\s*"
    match = re.fullmatch(f"{number},{number}", text)
    if match is None or float(match[1]) >= float(match[2]):
        raise InputError(f"{option}: expected LOW,HIGH such as 0,1 or -1,1. Received '{text}'.")
    return float(match[1]), float(match[2])
