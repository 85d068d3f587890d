"""The ``genotype`` key of ``kind: cells``: searched cells as states, operations and what is concatenated."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from annotated_types import MaxLen, MinLen
from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from dlcli.recipe.language.fields import Expected, Section
from dlcli.recipe.language.suggestions import did_you_mean, nearest
from dlcli.recipe.language.wording import listed, received

GenotypeName = Literal["nasnet_a", "pnasnet_5", "amoebanet_a", "amoebanet_b", "amoebanet_c", "amoebanet_d"]
Operation = Literal[
    "identity", "conv1", "conv3", "conv1x7_7x1", "sep3", "sep5", "sep7", "dil3", "dil5", "avg3", "max2", "max3"
]
OPERATIONS: tuple[str, ...] = get_args(Operation)

APPLIED = r"[a-z0-9_]+\(s[0-9]{1,3}\)"


def _check_applied(text: str) -> str:
    """Refuses what is not an operation with the state that it reads, with what is probably meant.

    Raises:
        ValueError: it is not; what to write instead.
        PydanticCustomError: it is not, and resembles none.
    """
    if re.fullmatch(APPLIED, text):
        return text
    name, _, state = re.sub(r"[\s)]+", "", text.lower()).partition("(")
    meant = nearest(name, OPERATIONS)
    read = state if re.fullmatch(r"s[0-9]{1,3}", state) else "s0"
    if meant:
        raise ValueError(f"write {meant[0]}({read})")
    raise PydanticCustomError("applied", "no operation with a state")


Applied = Annotated[
    str,
    AfterValidator(_check_applied),
    WithJsonSchema({"type": "string", "pattern": f"^{APPLIED}$"}),
    Expected(
        f"an operation and the state that it reads, such as sep3(s0); the operations are {listed(OPERATIONS, 'and')}"
    ),
]
State = Annotated[
    str,
    StringConstraints(pattern=r"^s[0-9]{1,3}$"),
    Expected("a state: s0, s1 or one that the cell defines, such as s2"),
]


class Cell(Section):
    """A searched cell (Zoph et al. 2018, section 3). s0 is the output of the last cell, s1 that of the cell before it,
    both brought to the number of filters."""

    states: Annotated[tuple[Annotated[tuple[Applied, ...], MinLen(1), MaxLen(10)], ...], MinLen(1), MaxLen(50)]
    """The states s2, s3, … in order, each the sum of the operations in its list, such as [sep5(s0), sep3(s1)]."""
    concatenate: Annotated[tuple[State, ...], MinLen(1), Expected("a list of states, such as [s2, s3]")]
    """The states that are joined as the cell's output."""

    def rules(self) -> Iterator[tuple[str, str]]:
        for number, operations in enumerate(self.states, start=2):
            for position, text in enumerate(operations):
                key = f"states.{number - 2}.{position}"
                operation, _, state = text.removesuffix(")").partition("(")
                if operation not in OPERATIONS:
                    hint = did_you_mean(operation, OPERATIONS) or f"; the operations are {listed(OPERATIONS, 'and')}"
                    yield key, f"unknown operation {received(operation)}{hint}"
                if int(state[1:]) >= number:
                    earlier = "s0 and s1" if number == 2 else f"s0 to s{number - 1}"
                    yield key, f"s{number} can only read earlier states: {earlier}. Received {text}."
        yield from self._rules_of_joined()

    def _rules_of_joined(self) -> Iterator[tuple[str, str]]:
        last = len(self.states) + 1
        seen: set[str] = set()
        for position, state in enumerate(self.concatenate):
            key = f"concatenate.{position}"
            if int(state[1:]) > last or state != f"s{int(state[1:])}":
                yield key, f"no such state; the cell has s0 to s{last}. Received {state}."
            elif state in seen:
                yield key, f"{state} is in the list twice; remove it"
            seen.add(state)
        read = set(re.findall(r"s[0-9]+(?=\))", " ".join(text for operations in self.states for text in operations)))
        for number in range(2, last + 1):
            if f"s{number}" not in read | seen:
                yield f"states.{number - 2}", f"s{number} is neither read nor concatenated; add it to concatenate"


class Genotype(Section):
    """The cells of a network, written out."""

    normal: Cell
    """The cell that keeps the size of the maps."""
    reduction: Cell | None = None
    """The cell that halves the size of the maps: its operations on s0 and s1 have stride 2.

    Default: there is none, and the normal cell with stride 2 takes its place, as in PNASNet.
    """
