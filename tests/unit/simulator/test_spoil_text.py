"""CSV and XML that parse, and are not so."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET

import pytest

from evertick.simulator.faults import SPOILED
from evertick.simulator.spoil_text import spoil_csv, spoil_xml

CURVE = "Date,3 Mo,10 Yr\n11/23/2026,3.91,4.75\n11/20/2026,3.92,N/A\n11/19/2026,3.94,4.77\n"
BARS = "DATE,OPEN,HIGH,LOW,CLOSE\r\n11/20/2026,17.10,18.20,16.90,17.40\r\n11/23/2026,17.50,18.90,17.20,18.10\r\n"
RATES = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="urn:gesmes" xmlns="urn:rates"><Cube>
<Cube time='2026-11-23'><Cube currency='USD' rate='1.1580'/><Cube currency='JPY' rate='179.26'/></Cube>
<Cube time='2026-11-20'><Cube currency='USD' rate='1.1571'/><Cube currency='JPY' rate='179.02'/></Cube>
</Cube></gesmes:Envelope>"""
BOARD = """<!--For reference only-->
<ExrateList>
  <DateTime>11/23/2026 10:00:00 AM</DateTime>
  <Exrate CurrencyCode="DKK" CurrencyName="DANISH KRONE" Buy="-" Transfer="4,010.10" Sell="4,150.20" />
  <Exrate CurrencyCode="USD" CurrencyName="US DOLLAR" Buy="26,130.00" Transfer="26,160.00" Sell="26,540.00" />
</ExrateList>"""


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("text", [CURVE, BARS], ids=["curve", "bars"])
def test_every_kind_spoils_a_table_that_still_parses(kind: str, text: str) -> None:
    spoiled = spoil_csv(kind, text)
    assert rows(spoiled) is not None
    if (kind, text) != ("swapped", CURVE):  # nothing to exchange
        assert spoiled != text


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("text", [RATES, BOARD], ids=["rates", "board"])
def test_every_kind_spoils_a_document_that_still_parses(kind: str, text: str) -> None:
    spoiled = spoil_xml(kind, text)
    ET.fromstring(spoiled.encode())
    if (kind, text) != ("swapped", RATES):
        assert spoiled != text


def test_only_the_newest_row_jumps_wherever_it_stands() -> None:
    assert [row[1] for row in rows(spoil_csv("scale", CURVE))[1:]] == ["3910.00", "3.92", "3.94"]
    assert [row[4] for row in rows(spoil_csv("scale", BARS))[1:]] == ["17.40", "18100.00"]
    assert spoil_xml("scale", RATES).count("rate='1158.0000'") == 1
    assert "rate='1.1571'" in spoil_xml("scale", RATES)


def test_what_is_missing_stays_missing() -> None:
    assert rows(spoil_csv("zero", CURVE))[2] == ["11/20/2026", "0.00", "N/A"]
    assert 'Buy="-" Transfer="0.00"' in spoil_xml("zero", BOARD)


def test_days_move_and_keep_their_form() -> None:
    assert [row[0] for row in rows(spoil_csv("stale", CURVE))[1:]] == ["11/18/2026", "11/15/2026", "11/14/2026"]
    assert spoil_xml("future", RATES).count("time='2026-11-24'") == 1
    assert "11/24/2026 10:00:00 AM" in spoil_xml("future", BOARD)


def test_columns_in_another_order_take_their_names_along() -> None:
    found = rows(spoil_csv("reordered", CURVE))
    assert found[0] == ["Date", "10 Yr", "3 Mo"]
    assert found[1] == ["11/23/2026", "4.75", "3.91"]


def test_high_and_low_are_exchanged_without_their_names() -> None:
    assert rows(spoil_csv("swapped", BARS))[1] == ["11/20/2026", "17.10", "16.90", "18.20", "17.40"]
    assert 'Sell="26,130.00" Transfer="26,160.00" Buy="26,540.00"' in spoil_xml("swapped", BOARD)


def test_days_out_of_order_and_twice() -> None:
    assert [row[0] for row in rows(spoil_csv("unsorted", CURVE))[1:]] == ["11/20/2026", "11/19/2026", "11/23/2026"]
    assert len(rows(spoil_csv("duplicate", CURVE))) == len(rows(CURVE)) + 2
    mixed = spoil_xml("unsorted", RATES)
    assert mixed.index("2026-11-20") < mixed.index("2026-11-23")


def test_line_ends_are_kept() -> None:
    assert "\r\n" in spoil_csv("zero", BARS)
    assert "\r" not in spoil_csv("zero", CURVE)
