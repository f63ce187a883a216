"""Files of public offices in the shapes they have, with numbers of our own, and instruments to read them for."""

from __future__ import annotations

from datetime import date, timedelta

from evertick.model import Group

from .answers import instrument

EUR_USD = instrument("EURUSD", Group.FX, "FX", "USD", ecb="USD")
USD_JPY = instrument("USDJPY", Group.FX, "FX", "JPY", ecb="USD/JPY")
EUR_GBP = instrument("EURGBP", Group.FX, "FX", "GBP", ecb="EUR/GBP")
USD_VND = instrument("USDVND", Group.FX, "FX", "VND", ecb="USD/VND")
US10Y = instrument("US10Y", Group.RATES, "UST", "%", treasury="10Yr", fred="DGS10")
US2Y = instrument("US2Y", Group.RATES, "UST", "%", treasury="2Yr", fred="DGS2")
US1M = instrument("US1M", Group.RATES, "UST", "%", treasury="1Mo", fred="DGS1MO")
VIX = instrument("VIX", Group.VOLATILITY, "XCBO", "pts", cboe="VIX")
VVIX = instrument("VVIX", Group.VOLATILITY, "XCBO", "pts", cboe="VVIX")

LAST = date(2026, 11, 20)
"""A Friday."""


def weekdays(count: int, last: date = LAST) -> list[date]:
    """The last ``count`` weekdays up to ``last``, oldest first."""
    days = [last - timedelta(days=n) for n in range(2 * count + 4)]
    return [day for day in days if day.weekday() < 5][:count][::-1]


def ecb_xml(days: dict[str, dict[str, str]]) -> bytes:
    """The envelope of the ECB's files; days in the order given, the newest first as they come."""
    cubes = "".join(
        f"\t\t<Cube time='{day}'>\n"
        + "".join(f"\t\t\t<Cube currency='{code}' rate='{rate}'/>\n" for code, rate in rates.items())
        + "\t\t</Cube>\n"
        for day, rates in days.items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
\t<Cube>
{cubes}\t</Cube>
</gesmes:Envelope>""".encode()


def ecb_days(count: int = 8, last: date = LAST) -> dict[str, dict[str, str]]:
    """Rates of ``count`` weekdays, newest first."""
    return {
        str(day): {"USD": f"{1.15 + n / 1000:.4f}", "JPY": f"{178 + n / 10:.2f}", "GBP": f"{0.87 + n / 10000:.5f}"}
        for n, day in reversed(list(enumerate(weekdays(count, last))))
    }


def treasury_csv(rows: list[tuple[date, str, str, str]], names: str = "Date,1 Mo,2 Yr,10 Yr") -> bytes:
    return "".join(
        f"{line}\n" for line in [names, *(f"{day:%m/%d/%Y},{','.join(cells)}" for day, *cells in rows)]
    ).encode()


def treasury_rows(count: int = 8, last: date = LAST) -> list[tuple[date, str, str, str]]:
    """Newest first."""
    days = weekdays(count, last)
    return [
        (day, f"{3.9 + n / 100:.2f}", f"{4.1 + n / 100:.2f}", f"{4.6 + n / 100:.2f}")
        for n, day in reversed(list(enumerate(days)))
    ]


def cboe_csv(count: int = 8, last: date = LAST, end: str = "\r\n") -> bytes:
    lines = ["DATE,OPEN,HIGH,LOW,CLOSE"]
    for n, day in enumerate(weekdays(count, last)):
        close = 16 + n / 10
        lines.append(f"{day:%m/%d/%Y},{close - 0.2:.6f},{close + 0.7:.6f},{close - 0.5:.6f},{close:.6f}")
    return "".join(line + end for line in lines).encode()


def fred_csv(count: int = 8, last: date = LAST, head: str = "observation_date,DGS2,DGS10", end: str = "\n") -> bytes:
    lines = [head, *(f"{day},{4.1 + n / 100:.2f},{4.6 + n / 100:.2f}" for n, day in enumerate(weekdays(count, last)))]
    return "".join(line + end for line in lines).encode()
