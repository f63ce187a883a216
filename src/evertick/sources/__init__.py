"""Where market data comes from: one module for each provider, and a conductor that asks them all.

A provider's module has ``fetch()``, which asks, and pure ``parse_…()`` functions, which read the answer. To add one:
write its module, list its class in `evertick.sources.listing`, give instruments a symbol in its namespace. A package
of its own lists it by an entry point instead (docs/how-to/add-a-source.md).
"""
