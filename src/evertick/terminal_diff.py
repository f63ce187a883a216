"""What changed between two reports, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evertick import terminal


def differences(found: dict[str, Any]) -> Iterator[Any]:
    """Rich renderables, from the answer of the API."""
    from rich.text import Text

    yield Text("\n".join(found["words"]))
    for language in found["headlines_changed"]:
        for side in ("before", "after"):
            yield Text(f"[{language}, {side}] {found[side]['headline'].get(language, '–')}")
    figures = [
        (f["section"], f["name"], *(_number(f[key], f["unit"]) for key in ("before", "after", "difference")))
        for f in found["figures"]
    ]
    yield terminal.drawn("Key figures", ("section", "figure", "before", "after", "change"), figures, right=(2, 3, 4))
    for key, title in (("rises", "Biggest rises"), ("falls", "Biggest falls")):
        rows = [
            (
                m["id"],
                m["name"],
                f"{m['before']:,.{m['decimals']}f}",
                f"{m['after']:,.{m['decimals']}f}",
                terminal.change(m["change_pct"]),
            )
            for m in found[key]
        ]
        if rows:
            yield terminal.drawn(title, ("id", "name", "before", "after", "change"), rows, right=(2, 3, 4))
    listed = [(what, one["id"], one["name"]) for what in ("new", "gone") for one in found[what]]
    if listed:
        yield terminal.drawn("New and gone", ("", "id", "name"), listed)
    sources = [
        (s["name"], s["state_before"], s["state_after"], s["quotes_before"], s["quotes_after"])
        for s in found["sources"]
    ]
    if sources:
        columns = ("source", "before", "after", "prices before", "after")
        yield terminal.drawn("Sources", columns, sources, right=(3, 4))


def _number(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:,.2f}" + (f" {unit}" if unit else "")
