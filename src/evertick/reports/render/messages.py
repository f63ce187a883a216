"""Every message that templates, figures and the page script say on their own, for the translators.

The writer's catalogues carry these beside the writer's own; a test compares this list with the templates and the code.
"""

from __future__ import annotations

SCRIPT_MESSAGES = (
    "Change theme",
    "Explore",
    "No instrument matches.",
    "Print",
    "Print everything",
    "Search instruments",
    "Show all {total}",
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
    "Language",
    "Market report",
    "No data.",
    "Previous close",
    "Not investment advice.",
    "Report {id}",
    "Report made",
    "Skip to the report",
    "Times are {zone}.",
    "{n} unchanged",
    "{percent} of the 52-week range",
    *SCRIPT_MESSAGES,
)
