"""Every message that templates, figures and the page script say on their own, for the translators.

The writer's catalogues carry these beside the writer's own; a test compares this list with the templates and the code.
"""

from __future__ import annotations

SCRIPT_MESSAGES = (
    "Change theme",
    "Close all",
    "Explore",
    "No instrument matches.",
    "Open all",
    "Print",
    "Print everything",
    "Search instruments",
    "Show the rules",
    "{shown} of {total}",
    "Open",
    "High",
    "Low",
    "Close",
    "Date",
)
"""Given to the page script as JSON; English is the key there too."""

TEMPLATE_MESSAGES = (
    "All reports",
    "As of {time}",
    "Charts by Lightweight Charts™ of TradingView and by uPlot.",
    "Contents",
    "Data as of",
    "Fall",
    "Key points",
    "Language",
    "Market report",
    "No data.",
    "Not investment advice.",
    "Opens with its chart, statistics and latest bars.",
    "Report {id}",
    "Report made",
    "Rise",
    "Session",
    "Skip to the report",
    "Sources",
    "Statistics",
    "Times are {zone}.",
    "Unchanged",
    "unknown",
    "{percent} of the 52-week range",
    *SCRIPT_MESSAGES,
)
