"""What a soak saw, as data: the one document that the verdict, the page, the terminal and ``soak.json`` are made of.

Sizes are bytes, durations seconds, times of a tape seconds of replayed time since its start. ``None``: not measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

FORMAT = 1
"""Raised whenever a field changes its meaning."""

LOOKS = 2_000
"""Of a tape at most."""

EVERTICK, BEFORE, AFTER = "evertick", "before", "after"
"""The variants: the server itself, and its twin in the manner of the flow diagrams before and after their optimisation."""


GROWTHS = ("indices", "heap", "rss")
"""The fields of a tape that are one."""


class Growth(NamedTuple):
    """Bytes a day, with the ends of the 95 % interval."""

    per_day: float
    low: float
    high: float


class Look(NamedTuple):
    """One look at the process of a variant."""

    at: float
    rss: int | None
    heap: int | None
    fds: int | None
    connections: int | None
    """Of all pools of the variant, idle ones too."""


class Moment(NamedTuple):
    """Something a timeline marks: ``report``, ``restart``, ``fault`` or ``crash``."""

    at: float
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Tape:
    """One variant from its start to its end."""

    name: str
    days: float
    seconds: float
    """Of real time that the replay took."""
    looks: Sequence[Look]
    """Thinned to at most `LOOKS` (see `thinned`); the highest RSS of what a point stands for is never lost."""
    moments: Sequence[Moment] = ()
    runs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Job to outcome to count."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """What readers did, and what went wrong for them: ``pages``, ``api``, ``streams``, ``slow``, ``vanished``, ``failed`` …"""
    start_rss: int | None = None
    steady_rss: int | None = None
    """Median of the second half."""
    peak_rss: int | None = None
    peak_above_steady: int | None = None
    """Of the reports: the highest RSS of a run less the RSS before it; the median over the runs."""
    connections_leaked: int | None = None
    kept_per_report: int | None = None
    """Bytes of heap, median over the runs that did not overlap."""
    kept_per_iteration: int | None = None
    """The same of the auto-report scheduler's own loop."""
    kept_per_report_95: Sequence[float] | None = None
    """The ends of the 95 % interval of that median; ``None``: of fewer than six runs there is none."""
    kept_per_iteration_95: Sequence[float] | None = None
    warm_up_s: float | None = None
    """Of replayed time at the start of each process that growth leaves out, and what is kept per report."""
    indices: Growth | None = None
    heap: Growth | None = None
    rss: Growth | None = None
    receipts: Mapping[str, Any] = field(default_factory=dict)
    """Per job: ``runs``, ``failed``, ``overlapped``, ``median_s``, ``retained``, ``freed``, ``release_s``."""
    crashed: str | None = None
    """Why the process ended before its time."""
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Tape:
        """What `dataclasses.asdict` made of one, also by way of JSON."""
        return cls(
            **_known(cls, read)
            | {
                "looks": tuple(Look(*look) for look in read["looks"]),
                "moments": tuple(Moment(*moment) for moment in read.get("moments", ())),
            }
            | {name: _growth(read[name]) for name in GROWTHS if read.get(name) is not None}
        )


def thinned(looks: Sequence[Look], most: int = LOOKS) -> tuple[Look, ...]:
    """At most ``most`` of them, evenly spread: of neighbours the one with the highest RSS stands for all."""
    share = -(-len(looks) // most)
    if share <= 1:
        return tuple(looks)
    return tuple(max(looks[n : n + share], key=lambda look: look.rss or 0) for n in range(0, len(looks), share))


@dataclass(frozen=True)
class Bound:
    """One line of the verdict."""

    name: str
    measured: float | None
    limit: float | None
    unit: str
    """``bytes``, ``bytes/day``, ``count`` or ``ratio``."""
    passed: bool | None
    """``None``: it could not be measured, and ``why`` says why; that is no failure."""
    why: str = ""


@dataclass(frozen=True)
class Injury:
    """A fault that was injected, and what was found after it."""

    at: float
    kind: str
    what: str
    recovered_s: float | None
    """Real seconds until everything was well again; ``None``: it never was."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """Invariant to ``True`` or to what is wrong."""


@dataclass(frozen=True)
class Soak:
    """All of it."""

    command: str
    started: str
    """ISO 8601, UTC."""
    seconds: float
    seed: int
    evertick: str
    """The version."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    """``days``, ``real_s``, ``faults``, ``database``, ``board``, ``instruments``, ``languages``, ``report_bytes`` …"""
    variants: Mapping[str, Tape]
    bounds: Sequence[Bound] = ()
    faults: Sequence[Injury] = ()
    notes: Sequence[str] = ()
    format: int = FORMAT

    @property
    def passed(self) -> bool:
        return all(bound.passed is not False for bound in self.bounds)

    def as_json(self) -> dict[str, Any]:
        """Growth by the names of its fields; looks and moments, which are many, as lists in the order of theirs."""
        made = asdict(self)
        for tape in made["variants"].values():
            tape |= {name: tape[name]._asdict() for name in GROWTHS if tape[name] is not None}
        return {**made, "verdict": "PASS" if self.passed else "FAIL"}

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Soak:
        """What `as_json` wrote."""
        return cls(
            **_known(cls, read)
            | {
                "variants": {name: Tape.of(one) for name, one in read["variants"].items()},
                "bounds": tuple(Bound(**_known(Bound, one)) for one in read.get("bounds", ())),
                "faults": tuple(Injury(**_known(Injury, one)) for one in read.get("faults", ())),
            }
        )


def _growth(read: Any) -> Growth:
    return Growth(**read) if isinstance(read, Mapping) else Growth(*read)


def _known(kind: Any, read: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a newer version added."""
    return {each.name: read[each.name] for each in fields(kind) if each.name in read}
