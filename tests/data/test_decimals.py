"""Numbers with decimal commas and separators of thousands."""

import pytest

from dlcli.data.decimals import Mark, decimal_hint, plain_number


@pytest.mark.parametrize(
    ("cell", "mark", "plain"),
    [
        ("1.234,5", "comma", "1234.5"),
        ("1 234 567,5", "comma", "1234567.5"),
        ("1\u202f234", "comma", "1234"),
        ("-12,5e3", "comma", "-12.5e3"),
        (",5", "comma", ".5"),
        ("12", "comma", "12"),
        ("1.5", "comma", None),
        ("1.234.56", "comma", None),
        ("1.234 567", "comma", None),
        ("1,234,567.25", "point", "1234567.25"),
        ("1'234.5", "point", "1234.5"),
        ("12,34", "point", None),
        ("1234,567", "point", None),
        ("", "point", None),
        (".", "point", None),
        ("nan", "point", None),
        ("١٢", "point", None),
    ],
)
def test_plain_numbers(cell: str, mark: Mark, plain: str | None) -> None:
    assert plain_number(cell, mark) == plain


def test_hints() -> None:
    assert decimal_hint("1.234,5") == " Set data.decimal: comma."
    assert decimal_hint("1,234,567") == " Set data.decimal: point."
    assert decimal_hint("1,234") == " Set data.decimal: point or comma."
    assert [decimal_hint(cell) for cell in ("abc", "12.5", "1e39")] == [""] * 3
