"""Which answers go wrong, and how: rules such as ``yahoo=429:0.3``, applied in the same order by the same seed.

What a kind looks like is in `evertick.simulator.broken` and `evertick.simulator.spoil`; what is a provider's own (its
rate-limit message, its refusal of a key) in the ``FAILURES`` of its module.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf

from evertick.errors import SettingsError
from evertick.simulator.noise import draws
from evertick.simulator.providers import BASES

PROVIDERS = tuple(BASES)
ALL = "all"

ANSWERED: Mapping[str, str] = {
    "429": "status 429 with Retry-After and the provider's own body",
    "429text": "status 429 as plain text, without Retry-After",
    "429date": "status 429 with Retry-After as a date",
    "429far": "status 429 with Retry-After in ten days",
    "200ratelimit": "status 200 with the provider's own rate-limit message",
    "200error": "status 200 with the provider's own error",
    "quota": "the provider's own message that the day's quota is used up",
    "badkey": "the provider's own refusal of a key",
    "echo": "status 400 with a message that repeats the whole request, key included",
    "html": "status 200 with an HTML page that says it is what was asked for",
    "challenge": "status 200 with Cloudflare's 'Just a moment' page",
    "pow": "status 200 with a proof-of-work page",
    "down": "status 200 with the page 'Will be right back'",
    "401": "status 401 with JSON",
    "401html": "status 401 with HTML",
    "403": "status 403 with JSON",
    "403html": "status 403 with HTML",
    "404": "status 404 with the provider's own JSON",
    "418": "status 418, a ban with Retry-After",
    "451": "status 451, refused in this country",
    "500": "status 500 with HTML",
    "502": "status 502 with HTML",
    "503": "status 503 with HTML and Retry-After",
    "504": "status 504 with HTML",
    "204": "status 204, no body",
    "empty": "status 200 with an empty body",
    "redirect": "redirect to a consent page",
    "loop": "redirect to itself",
    "deep": "JSON or XML nested 200,000 levels deep, CSV with a cell of 400 KB",
    "bomb": "a gzip body of 64 KB that unpacks to 64 MB",
    "dtd": "XML of a few hundred bytes whose entities stand for gigabytes",
    "badgzip": "a body that says gzip and is not",
    "badutf8": "the right answer with bytes that are no UTF-8",
    "truncated": "the right answer cut in half",
    "wrongtype": "the right answer as text/html",
    "cut": "the connection closes in the middle of the body",
    "reset": "the connection is reset before an answer",
    "close": "the connection closes without an answer",
    "garbage": "bytes that are no HTTP",
    "badchunk": "a chunk whose length is no number",
    "tls": "a TLS alert in place of an answer",
}
SPOILED: Mapping[str, str] = {
    "nothing": "the provider's shape with nothing in it",
    "shell": "Yahoo's delisted shell: no timestamps, no quotes; elsewhere empty items",
    "snapshot": "Yahoo's snapshot-only index: one timestamp, open, high and low 0; elsewhere as 'zero'",
    "partial": "half of the items are missing",
    "null": "null in place of prices",
    "nan": "NaN in place of prices",
    "infinity": "Infinity in place of prices",
    "huge": "numbers of 300 digits in place of prices",
    "retyped": "text and objects in place of numbers",
    "digits": "prices as text in digits of another script",
    "comma": "prices as text with a decimal comma",
    "misaligned": "columns of different lengths, items without their fields",
    "renamed": "the fields or columns of prices are called differently",
    "reordered": "fields or columns in another order",
    "swapped": "high and low (buy and sell) exchanged",
    "wrapped": "the right answer one level deeper",
    "unsorted": "timestamps out of order",
    "duplicate": "the last bar or item twice",
    "zero": "0 in place of prices",
    "negative": "prices below 0",
    "scale": "the latest price 1,000 times too large",
    "shrunk": "the latest price 1,000 times too small",
    "stale": "everything five days old",
    "future": "everything a day ahead of time",
    "millis": "times 1,000 times too large",
    "notime": "null in place of times",
}
DISGUISED: Mapping[str, str] = {
    "bom": "the right answer behind a byte order mark",
    "utf16": "the right answer in UTF-16",
    "trailing": "the right answer with something behind it",
    "headers": "the right answer below a header of 256 KB",
}
"""May be read or refused."""
SLOW: Mapping[str, str] = {
    "late": "the right answer after two seconds",
    "drip": "the right answer, one byte a second",
    "hang": "nothing for two minutes, then the connection closes",
    "endless": "a body that never ends",
}
KINDS: Mapping[str, str] = {**ANSWERED, **SPOILED, **DISGUISED, **SLOW}
GROUPS: Mapping[str, tuple[str, ...]] = {
    "any": (*ANSWERED, *SPOILED, *DISGUISED),
    "5xx": ("500", "502", "503", "504"),
    "slow": tuple(SLOW),
}
"""One of the kinds at random; ``any`` leaves out the slow ones."""


@dataclass(frozen=True, slots=True)
class Rule:
    provider: str
    """One of `PROVIDERS`, or ``all``."""
    kind: str
    """One of `KINDS` or `GROUPS`."""
    share: float = 1.0
    """Of the requests."""
    times: int | None = None
    """Instead of a share: the next so many requests."""
    part: str = ""
    """Only of requests whose path contains this."""
    seconds: float | None = None
    """Only so long after it was put in force."""

    def __str__(self) -> str:
        where = f"{self.provider}/{self.part}" if self.part else self.provider
        amount = f"x{self.times}" if self.times is not None else f"{self.share:g}"
        return f"{where}={self.kind}:{amount}" + (f":{self.seconds:g}s" if self.seconds is not None else "")


def parse_fault(text: str) -> Rule:
    """``yahoo=429`` (always), ``yahoo=429:0.3`` (three in ten), ``all=5xx:x2`` (the next two), ``yahoo/chart=429`` (only
    requests with ``chart`` in their path), ``yahoo=429:0.3:60s`` (for a minute).

    Raises `SettingsError` that names what is possible.

    >>> parse_fault("yahoo/chart=429:0.3")
    Rule(provider='yahoo', kind='429', share=0.3, times=None, part='chart', seconds=None)
    """
    target, equals, rest = text.strip().partition("=")
    provider, _, part = target.partition("/")
    kind, *limits = rest.split(":")
    if not equals or not kind:
        raise SettingsError(
            f"'{text}' is no fault; write for example yahoo=429:0.3, coingecko=truncated or all=any:0.1"
        )
    if provider not in (*PROVIDERS, ALL):
        raise SettingsError(
            f"'{text}': the simulator has no provider '{provider}'; choose {', '.join((*PROVIDERS, ALL))}"
        )
    if kind not in KINDS and kind not in GROUPS:
        raise SettingsError(f"'{text}': there is no fault '{kind}'; choose among {', '.join((*GROUPS, *KINDS))}")
    share, times, seconds = 1.0, None, None
    for limit in limits:
        try:
            if limit.endswith("s"):
                seconds = _above_zero(float(limit[:-1]))
            elif limit.startswith("x"):
                times = int(_above_zero(int(limit[1:])))
            elif limit:
                share = _above_zero(float(limit), 1)
        except ValueError:
            raise SettingsError(
                f"'{text}': '{limit}' is no share of the requests; write 0.3 for three in ten, x3 for the next three, "
                "or 60s for a minute"
            ) from None
    return Rule(provider, kind, share, times, part, seconds)


def _above_zero(value: float, at_most: float = inf) -> float:
    if not 0 < value <= at_most:
        raise ValueError
    return value


class Faults:
    """The rules in force, and counts of what was asked and what went wrong.

    The nth request to a provider meets the same fault on every run with the same rules and seed (rules for a time end by
    the clock, and so may not).
    """

    def __init__(
        self,
        rules: Iterable[Rule | str] = (),
        seed: int | str = 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seed = str(seed)
        self._monotonic = monotonic
        self.requests: Counter[str] = Counter()
        self.served: Counter[tuple[str, str]] = Counter()
        self.rules: tuple[Rule, ...] = ()
        self._left: dict[int, int] = {}
        self._since = 0.0
        self.replace(rules)

    def replace(self, rules: Iterable[Rule | str]) -> None:
        """Put other rules in force. Raises `SettingsError`, and changes nothing, for one that is wrong."""
        found = tuple(parse_fault(r) if isinstance(r, str) else r for r in rules)
        for provider in PROVIDERS:
            mine = [r for r in found if r.times is None and r.provider in (provider, ALL)]
            for part in {r.part for r in mine}:
                total = sum(r.share for r in mine if r.part in ("", part))
                if total > 1 + 1e-9:
                    raise SettingsError(f"the faults of {provider} together come to {total:.0%} of its requests")
        self.rules = found
        self._left = {i: r.times for i, r in enumerate(found) if r.times is not None}
        self._since = self._monotonic()

    def choose(self, provider: str, path: str = "") -> str | None:
        """The fault of the next request to ``provider``, one of `KINDS`, or `None`."""
        number = self.requests[provider]
        self.requests[provider] += 1
        rule = self._rule(provider, path, number) if self.rules else None
        if rule is None:
            return None
        kind = rule.kind
        if kind in GROUPS:
            kinds = GROUPS[kind]
            kind = kinds[draws(f"{self._seed}/kind/{provider}/{number}", 1)[0] * len(kinds) // 65536]
        self.served[provider, kind] += 1
        return kind

    def _rule(self, provider: str, path: str, number: int) -> Rule | None:
        past = self._monotonic() - self._since
        mine = [
            (i, r)
            for i, r in enumerate(self.rules)
            if r.provider in (provider, ALL) and r.part in path and (r.seconds is None or past < r.seconds)
        ]
        for i, rule in mine:
            if self._left.get(i, 0) > 0:
                self._left[i] -= 1
                return rule
        point = draws(f"{self._seed}/fault/{provider}/{number}", 1)[0] / 65536
        for _, rule in mine:
            if rule.times is None:
                if point < rule.share:
                    return rule
                point -= rule.share
        return None

    def stats(self) -> dict[str, object]:
        return {
            "requests": {p: self.requests[p] for p in PROVIDERS},
            "faults": {p: {kind: n for (q, kind), n in sorted(self.served.items()) if q == p} for p in PROVIDERS},
        }
