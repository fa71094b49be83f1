"""Units: what is read, what is refused and how, and that texts and numbers round-trip."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwsim import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5s", 1.5),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("350us", 350e-6),
        ("350µs", 350e-6),
        ("2d", 172800.0),
        ("0", 0.0),
        (2, 2.0),
        (0.25, 0.25),
        ("3", 3.0),
    ],
)
def test_durations(text, seconds):
    assert units.parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "rps"),
    [("2000rps", 2000.0), ("2krps", 2000.0), ("5k", 5000.0), ("1.5krps", 1500.0), ("100/s", 100.0), ("600/min", 10.0), (7, 7.0)],
)
def test_rates(text, rps):
    assert units.parse_rate_rps(text) == rps


@pytest.mark.parametrize(
    ("text", "size"), [("1KB", 1000.0), ("1KiB", 1024.0), ("600B", 600.0), ("64Ki", 65536.0), ("1.5MB", 1.5e6), (12, 12.0)]
)
def test_sizes(text, size):
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", 0.1), ("2", 2.0), ("128Mi", 134217728.0), ("1Gi", 2.0**30), ("1e3", 1000.0), ("0.5", 0.5), ("1E", 1e18), ("-1", -1.0)],
)
def test_quantities(text, amount):
    assert units.parse_quantity(text) == amount


@pytest.mark.parametrize(("text", "share"), [("40%", 0.4), (0.4, 0.4), ("0.4", 0.4), ("100 %", 1.0), (0, 0.0)])
def test_shares(text, share):
    assert units.parse_share(text) == share


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (units.parse_duration_s, "5 parsecs", "'5 parsecs' is not a duration; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_duration_s, "-5s", "'-5s' is negative; a duration is at least 0s"),
        (units.parse_duration_s, "", "'' is not a duration; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_duration_s, True, "True is not a duration; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_duration_s, math.nan, "nan is not a duration: it must be finite; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_go_duration_s, "5", "'5' is not a duration; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_go_duration_s, "1d", "'1d' is not a duration; write e.g. 250ms, 1.5s, 2m"),
        (units.parse_rate_rps, "fast", "'fast' is not a rate; write e.g. 2000rps, 2krps, 100/s"),
        (units.parse_bytes, "1 KiBi", "'1 KiBi' is not a size; write e.g. 600B, 64KiB, 1.5MB"),
        (units.parse_quantity, "1KB", "'1KB' is not a Kubernetes quantity; write e.g. 100m, 2, 128Mi"),
        (units.parse_share, 40, "40 is not between 0 and 1 (0% and 100%); write 40% if percent is meant"),
        (units.parse_share, "140%", "'140%' is not between 0 and 1 (0% and 100%)"),
    ],
)
def test_refusals_say_what_would_be_right(parse, value, message):
    with pytest.raises(ValueError) as caught:
        parse(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (units.format_duration_s(0.0123), "12.3 ms"),
        (units.format_duration_s(0.9999), "1 s"),
        (units.format_duration_s(60.0), "60 s"),
        (units.format_duration_s(90.0), "90 s"),
        (units.format_duration_s(600.0), "10 min"),
        (units.format_duration_s(1e-9), "1 ns"),
        (units.format_duration_s(math.inf), "infinite"),
        (units.format_rate_rps(1999.6), "2 krps"),
        (units.format_rate_rps(12.5), "12.5 rps"),
        (units.format_bytes(1536), "1.5 KiB"),
        (units.format_bytes(0), "0 B"),
        (units.format_cores(0.1), "100m"),
        (units.format_cores(1.5), "1.5"),
        (units.format_share(0.4), "40 %"),
    ],
)
def test_formats(text, wanted):
    assert text == wanted


@given(st.floats(min_value=0, max_value=1e12))
def test_a_duration_round_trips_exactly(seconds):
    assert units.parse_duration_s(units.duration_text(seconds)) == seconds


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_formatted_duration_is_near(seconds):
    number, unit = units.format_duration_s(seconds, digits=4).split(" ")
    assert units.parse_duration_s(number + unit.replace("min", "m")) == pytest.approx(seconds, rel=1e-3)


@given(st.floats(min_value=1.0, max_value=1e15))
def test_a_formatted_size_is_near(size):
    assert units.parse_bytes(units.format_bytes(size, digits=5)) == pytest.approx(size, rel=1e-3)


@given(st.floats(min_value=1.0, max_value=1e9))
def test_a_formatted_rate_is_near(rate):
    assert units.parse_rate_rps(units.format_rate_rps(rate, digits=5)) == pytest.approx(rate, rel=1e-3)


@given(st.text(max_size=12))
def test_any_text_is_a_finite_number_or_a_value_error(text):
    parsers = (units.parse_duration_s, units.parse_rate_rps, units.parse_bytes, units.parse_quantity, units.parse_share)
    for parse in parsers:
        try:
            assert math.isfinite(parse(text))
        except ValueError as error:
            assert repr(text) in str(error)
