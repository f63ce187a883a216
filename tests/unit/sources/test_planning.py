from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evertick.model import Quote
from evertick.sources.planning import CLOSED, LATER, SETTLE, TAIL_S, put_off

from .scripted import instrument

CLOSE = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
NIGHT = CLOSE + timedelta(hours=5)
STOCK = instrument("A", exchange="XNYS")


def quote(as_of: datetime) -> Quote:
    return Quote("A", 100.0, as_of, "one")


@pytest.mark.parametrize(
    ("as_of", "heard", "now", "why"),
    [
        (None, NIGHT, NIGHT, None),
        (CLOSE, None, NIGHT, CLOSED),
        (CLOSE + timedelta(minutes=20), None, NIGHT, CLOSED),
        (CLOSE - timedelta(seconds=1), None, NIGHT, None),
        (CLOSE - timedelta(seconds=1), CLOSE + SETTLE - timedelta(seconds=1), NIGHT, None),
        (CLOSE - timedelta(seconds=1), CLOSE + SETTLE, NIGHT, CLOSED),
        (CLOSE - timedelta(days=90), CLOSE + SETTLE, NIGHT, CLOSED),
        (CLOSE - timedelta(days=1), NIGHT + timedelta(days=30), NIGHT, None),  # the clock ran ahead then
        (CLOSE - timedelta(days=1), CLOSE - timedelta(days=1), NIGHT, None),
        (CLOSE, CLOSE, datetime(2026, 11, 25, 14, 30, tzinfo=UTC), None),
    ],
)
def test_a_closed_market_is_put_off_once_its_last_price_is_known(as_of, heard, now, why):
    assert put_off(STOCK, quote(as_of) if as_of else None, heard, heard, now) == why


def test_a_lunch_break_is_a_closed_market_too():
    tokyo = instrument("A", exchange="XTKS")
    noon = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
    assert put_off(tokyo, quote(noon), None, None, noon + timedelta(minutes=30)) == CLOSED
    assert put_off(tokyo, quote(noon), None, None, noon + timedelta(minutes=60)) is None


def test_what_always_trades_is_never_put_off_for_that():
    assert put_off(instrument("A"), quote(CLOSE), CLOSE + SETTLE, NIGHT, NIGHT) is None


def test_the_tail_is_due_once_in_every_span_each_at_a_moment_of_its_own():
    start = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    moments = set()
    for n in range(50):
        tail = instrument(f"T{n}", core=False)
        due = [
            s
            for s in range(1, 1801)
            if put_off(tail, quote(start), start, start + timedelta(seconds=s - 1), start + timedelta(seconds=s))
            is None
        ]
        assert len(due) == 2
        assert due[1] - due[0] == TAIL_S
        moments.add(due[0])
    assert len(moments) > 40


def test_the_tail_comes_at_once_where_nothing_is_known_or_somebody_waits():
    tail, now = instrument("T", core=False), CLOSE
    soon = now + timedelta(microseconds=1)
    assert put_off(tail, quote(now), now, now, soon) == LATER
    assert put_off(tail, None, None, now, soon) is None
    assert put_off(tail, quote(now), None, None, soon) is None
    assert put_off(tail, quote(now), now, now, soon, hurry=True) is None
    assert put_off(instrument("C"), quote(now), now, now, soon) is None
