"""Are durations read as people mean them?"""

import pytest

from app.durations import duration_ms


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("30s", 30_000),
        ("2m", 120_000),
        ("500ms", 500),
        ("1h30m", 5_400_000),
        ("1m 30s", 90_000),
        ("0.5s", 500),
        ("7", 7_000),
        (" 1D ", 86_400_000),
        ("0s", 0),
    ],
)
def test_a_number_with_a_unit_is_taken(text: str, expected_ms: int) -> None:
    assert duration_ms(text) == expected_ms


@pytest.mark.parametrize("text", ["", "s", "-1s", "5x", "1s2", "nan", "inf", "1e3s", "99999d", "²s", "1ss"])
def test_everything_else_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a number|ten years"):
        duration_ms(text)


def test_a_bare_number_counts_in_the_unit_of_the_setting() -> None:
    assert duration_ms("50", bare_unit="ms") == 50
