"""The values of --device."""

import re

import pytest

from dlcli.runtime.devices import Requested, parse_device


@pytest.mark.parametrize(
    ("text", "requested", "is_several"),
    [
        ("auto", Requested("auto"), False),
        ("cpu", Requested("cpu"), False),
        ("gpu", Requested("gpu"), False),
        ("gpu:12", Requested("gpu", gpus=(12,)), False),
        ("gpu:1,0", Requested("gpu", gpus=(1, 0)), True),
        ("gpu:all", Requested("gpu", gpus=None), True),
        ("cpu:x1", Requested("cpu"), False),
        ("cpu:x8", Requested("cpu", num_virtual=8), True),
    ],
)
def test_devices_are_parsed(text: str, requested: Requested, is_several: bool) -> None:
    assert parse_device(text) == requested
    assert parse_device(text).is_several is is_several


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "expected auto, cpu, cpu:xN") for text in ("", "0", "gpu:", "gpu:-1", "gpu:²", "GPU", "cpu:0")),
        *((text, "expected auto, cpu, cpu:xN") for text in ("gpu:0,", "gpu:0,1,x", "gpu:all,1", "gpu:" + "1" * 10)),
        *((text, "a number of virtual CPUs from 1 to 64") for text in ("cpu:x0", "cpu:x65", "cpu:x", "cpu:x٣")),
        ("gpu:1,0,1", "names a GPU twice"),
    ],
)
def test_other_values_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_device(text)
