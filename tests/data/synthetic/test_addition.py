"""Generated sums as pairs of texts."""

from typing import Any

from dlcli.data.synthetic.addition import make_addition

COMMON: dict[str, Any] = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}


def test_sums_are_correct_and_unique() -> None:
    dataset = make_addition(digits=2, num_samples=500, seed=0, **COMMON)
    pairs = [
        (text, answer)
        for part in dataset.splits.values()
        for text, answer in zip(part.texts or (), part.answers or (), strict=True)
    ]
    assert len(pairs) == 500
    numbers = [tuple(sorted(map(int, text.split("+")))) for text, _ in pairs]
    assert len(set(numbers)) == 500
    assert all(sum(pair) == int(answer) for pair, (_, answer) in zip(numbers, pairs, strict=True))
    assert max(max(pair) for pair in numbers) <= 99
    again = make_addition(digits=2, num_samples=500, seed=0, **COMMON)
    assert again.fingerprint() == dataset.fingerprint()
    assert make_addition(digits=2, num_samples=500, seed=1, **COMMON).fingerprint() != dataset.fingerprint()
