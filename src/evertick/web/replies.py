"""Small decisions about requests and answers that several routes share."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import RedirectResponse, Response


def accepts_gzip(request: Request) -> bool:
    return gzip_wanted(request.headers.get("accept-encoding", ""))


def gzip_wanted(header: str) -> bool:
    """Whether an Accept-Encoding header lets us answer in gzip.

    >>> gzip_wanted("br;q=1.0, gzip;q=0.8, *;q=0.1"), gzip_wanted("gzip;q=0"), gzip_wanted("")
    (True, False, False)
    """
    found: dict[str, bool] = {}
    for item in header.lower().split(","):
        name, _, parameters = item.partition(";")
        weight = parameters.replace(" ", "")
        found[name.strip()] = not (weight.startswith("q=0") and weight.strip("q=0.") == "")
    return found.get("gzip", found.get("x-gzip", found.get("*", False)))


def matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 13.1.2: ``*``, or one of a list of tags, weak comparison."""
    if not if_none_match:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def back_to(path: str) -> Response:
    """Where a submitted form leads: a page, read with GET."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})
