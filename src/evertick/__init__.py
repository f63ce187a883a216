"""Evertick: a market-report server that runs around the clock in the memory it started with."""

__version__ = "0.1.0"
