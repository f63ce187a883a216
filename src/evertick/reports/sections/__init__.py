"""One module for each section of the report; each has ``section(findings, bars)``."""
