"""Rates, times, sizes and numbers, as options give them."""

import pytest

from penstock.units import count, counts, duration, rate, size


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (rate, "10mbit", 10_000_000),
        (rate, "1.5 Gbit", 1_500_000_000),
        (rate, "2mibit", 2 * 1024**2),
        (rate, "5mbps", 40_000_000),
        (rate, "1000", 1000),
        (rate, "1000tbit", 10**15),
        (duration, "5ms", 5_000_000),
        (duration, "0.1us", 100),
        (duration, "0s", 0),
        (duration, "86400s", 86_400 * 10**9),
        (size, "1500", 1500),
        (size, "64kb", 65_536),
        (size, "0", 0),
        (size, "4294967295", 4_294_967_295),
        (count, "1", 1),
        (count, "4294967295", 4_294_967_295),
        (counts, "1,10, 100", (1, 10, 100)),
    ],
)
def test_what_is_read(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "error"),
    [
        (rate, "fast", "is not a rate, such as 10mbit"),
        (rate, "0", "a rate of 0: it must be more than 0"),
        (rate, "0.5bit", "is less than one"),
        (rate, "1001tbit", "is too much"),
        (duration, "5", "is not a time, such as 5ms"),
        (duration, "-5ms", "is not a time"),
        (duration, "0.1ns", "is less than one"),
        (duration, "86401s", "is too much"),
        (size, "5ms", "is not a size, such as 64kb"),
        (size, "4gb", "is too much"),
        (count, "0", "a number of 0: it must be more than 0"),
        (count, "1.5", "is not a whole number"),
        (count, "0.5", "is less than one"),
        (count, "1k", "is not a whole number"),
        (count, "4294967296", "is too much"),
        (counts, "1,", "is not a whole number"),
        (counts, "1,0", "a number of 0: it must be more than 0"),
    ],
)
def test_what_is_refused(parse, text, error):
    with pytest.raises(ValueError, match=error):
        parse(text)
