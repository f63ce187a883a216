"""Where market data comes from: one module for each provider, and a conductor that asks them all.

A provider's module has ``fetch()``, which asks, and pure ``parse_…()`` functions, which read the answer. To add one:
write its module, list its class here, give the universe a column for its symbols.
"""

from __future__ import annotations

from evertick.sources.alternative import Alternative
from evertick.sources.coingecko import CoinGecko
from evertick.sources.yahoo import Yahoo

__all__ = ["SOURCES", "Alternative", "CoinGecko", "Yahoo"]

SOURCES = (CoinGecko, Alternative, Yahoo)
"""In order of preference: an instrument that two of them know is asked of the first, of the next when that one fails."""
