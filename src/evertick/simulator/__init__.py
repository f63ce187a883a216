"""A local upstream: it speaks the providers' own protocols, of a plausible market, with their failures on demand.

The offline demo, the tests and the soak get their prices here. Nothing is stored: every number is computed from the
seed, the instrument and the time.
"""

from evertick.simulator.app import create_app
from evertick.simulator.clock import MarketClock
from evertick.simulator.faults import GROUPS, KINDS, PROVIDERS, Faults, Rule, parse_fault
from evertick.simulator.market import Market
from evertick.simulator.providers import BASES
from evertick.simulator.serve import base_urls, run, serve, serve_forever

__all__ = [
    "BASES",
    "GROUPS",
    "KINDS",
    "PROVIDERS",
    "Faults",
    "Market",
    "MarketClock",
    "Rule",
    "base_urls",
    "create_app",
    "parse_fault",
    "run",
    "serve",
    "serve_forever",
]
