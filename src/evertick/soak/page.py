"""The verdict page: one file with all that a soak found, for people. It needs no server, no script and no network.

`render` gives it piece by piece. What it shows is decided here, in words and numbers; ``page.html`` only sets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import evertick
from evertick.errors import AssetsMissing
from evertick.single import inline, policy
from evertick.soak.page_timeline import KINDS, clock, figure
from evertick.soak.readers import KINDS as ASKED
from evertick.soak.tape import AFTER, BEFORE, EVERTICK, Bound, Growth, Injury, Soak, Tape
from evertick.web.pages import format
from evertick.web.pages.memory import AXIS, Bar, Block, more, share

KB, MB = 1 << 10, 1 << 20
TEMPLATES = Path(__file__).parent, Path(evertick.__file__).parent / "web" / "templates"
STYLE = Path(evertick.__file__).parent / "web" / "static" / "dist" / "soak.css"
TITLES = {EVERTICK: "Evertick", BEFORE: "Before", AFTER: "After"}
_DAY = 86_400.0

COMPONENTS: tuple[tuple[str, str, int, int, Callable[[Tape], float | None], Callable[[Tape], Growth | None]], ...] = (
    ("Market-indices scheduler", "growth a day", 50 * MB, 5 * MB, lambda t: _middle(t.indices), lambda t: t.indices),
    ("Report generation and save", "kept per report", 7 * MB, 100 * KB, lambda t: t.kept_per_report, lambda t: None),
    ("Auto-report scheduler", "kept per iteration", 10 * MB, MB, lambda t: t.kept_per_iteration, lambda t: None),
    ("All together", "growth of heap a day", 200 * MB, 20 * MB, lambda t: _middle(t.heap), lambda t: t.heap),
)
"""Title, unit, the sizes of the fifth flow diagram before and after, and what a tape measured."""


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    measured: str
    limit: str
    passed: bool | None
    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the table that puts the variants beside the flow diagrams."""

    what: str
    before: str
    after: str
    measured: Mapping[str, str]
    """By variant."""


@dataclass(frozen=True, slots=True)
class Job:
    variant: str
    name: str
    outcomes: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Fault:
    at: str
    kind: str
    what: str
    recovered: str
    none: str
    """The checks that found nothing, by the names of what they look for."""
    wrong: Sequence[str]


def write(soak: Soak, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(render(soak))
    part.replace(path)


def render(soak: Soak, style: Path = STYLE) -> Iterator[str]:
    """The page. Raises `AssetsMissing` where the style sheet was not built."""
    try:
        css = inline(style.read_bytes(), "style")
    except OSError as error:
        raise AssetsMissing(
            f"{style.name} is not part of this installation", hint="Build it in the checkout with `make install`."
        ) from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    # As it is in the policy's hash, byte for byte.
    return environment.get_template("page.html").generate(
        style=Markup(css.decode()), policy=policy(css), **values(soak)
    )


def values(soak: Soak) -> dict[str, Any]:
    """All that the template shows."""
    tapes = [soak.variants[name] for name in (EVERTICK, BEFORE, AFTER) if name in soak.variants]
    tapes += [tape for name, tape in soak.variants.items() if name not in TITLES]
    ours = tapes[0]
    titles = {tape.name: TITLES.get(tape.name, tape.name) for tape in tapes}
    span = max(tape.days for tape in tapes) * _DAY
    return {
        "soak": soak,
        "passed": soak.passed,
        "sentence": sentence(soak, ours),
        "counted": counted(soak),
        "bounds": [verdict(bound) for bound in soak.bounds],
        "summary": summary(soak, ours),
        "tapes": tapes,
        "titles": {BEFORE: None, AFTER: None} | titles,
        "compared": len(tapes) > 1,
        "timeline": figure(tapes, titles, heap=len(tapes) == 1),
        "near": figure([ours], titles, heap=True) if len(tapes) > 1 else None,
        "kinds": KINDS,
        "moments": [
            (clock(m.at, span), titles[t.name], m.kind, m.text) for t in tapes for m in t.moments if m.kind != "report"
        ][:200],
        "blocks": [block(tapes, *one) for one in COMPONENTS],
        "axis": [(share(size), label) for size, label in AXIS],
        "rows": compared(tapes),
        "growths": [
            (titles[t.name], title, interval(found))
            for t in tapes
            for title, found in (
                ("Market-indices scheduler, heap", t.indices),
                ("All, heap", t.heap),
                ("All, RSS", t.rss),
            )
        ],
        "jobs": [one for t in tapes for one in jobs(t, titles[t.name])],
        "faults": [fault(one, span) for one in soak.faults],
        "readers": [
            (f"{kind.replace('_', ' ')}{'' if t is ours else f' ({titles[t.name]})'}", f"{count:,}")
            for t in tapes
            for kind, count in t.requests.items()
        ],
        "about": [*flat("", {"command": soak.command, "started": soak.started, "took": format.seconds(soak.seconds)})],
        "machine": list(flat("", soak.machine)),
        "versions": list(flat("", {"evertick": soak.evertick} | dict(soak.versions))),
        "settings": list(flat("", {"seed": soak.seed} | dict(soak.settings))),
        "notes": [("", note) for note in soak.notes] + [(titles[t.name], note) for t in tapes for note in t.notes],
    }


def sentence(soak: Soak, ours: Tape) -> str:
    """What was done, and what came of it, in one breath."""
    done = {job: sum(outcomes.values()) for job, outcomes in ours.runs.items()}
    work = [_some(done.get("refresh_indices", 0), "refresh", "es"), _some(done.get("report", 0), "report")]
    if ours.requests:
        work.append(_some(sum(ours.requests.get(kind, 0) for kind in ASKED), "request"))
    if soak.faults:
        work.append(_some(len(soak.faults), "fault"))
    return f"{span_words(soak, ours)}: {', '.join(work[:-1])} and {work[-1]}."


def span_words(soak: Soak, ours: Tape) -> str:
    real = soak.settings.get("real_s")
    if real is not None:
        return f"{format.seconds(float(real))} in real time"
    days = ours.days
    return f"{days * 24:g} simulated hours" if days < 2 else f"{days:g} simulated days"


def counted(soak: Soak) -> str:
    held = sum(bound.passed is True for bound in soak.bounds)
    broken = sum(bound.passed is False for bound in soak.bounds)
    unknown = len(soak.bounds) - held - broken
    parts = [f"{held} of {len(soak.bounds)} bounds hold"]
    if broken:
        parts.append(f"{broken} {'is' if broken == 1 else 'are'} broken")
    if unknown:
        parts.append(f"{unknown} could not be measured or settled, which is no failure")
    return ", ".join(parts)


def summary(soak: Soak, ours: Tape) -> list[tuple[str, str]]:
    return [
        ("RSS, steady", format.size(ours.steady_rss)),
        ("RSS, at its highest", format.size(ours.peak_rss)),
        ("Growth of heap a day (95 %)", interval(ours.heap)),
        ("Growth of RSS a day (95 %)", interval(ours.rss)),
        ("Connections leaked", _count(ours.connections_leaked)),
        ("It took", format.seconds(soak.seconds)),
    ]


def verdict(bound: Bound) -> Verdict:
    known = "not settled" if bound.measured is not None else "not measured"
    return Verdict(
        bound.name[:1].upper() + bound.name[1:],
        amount(bound.measured, bound.unit),
        amount(bound.limit, bound.unit).removeprefix("+"),
        bound.passed,
        known if bound.passed is None else "holds" if bound.passed else "broken",
        bound.why,
    )


def amount(value: float | None, unit: str) -> str:
    """A number of a bound in its unit.

    >>> amount(2048, "bytes"), amount(-300, "bytes/day"), amount(0.0, "count"), amount(1.0842, "ratio"), amount(None, "bytes")
    ('2.0 KB', '−300 B a day', '0', '1.08×', '–')
    """
    if value is None:
        return format.DASH
    if unit == "bytes/day":
        return f"{more(value)} a day"
    if unit == "bytes":
        return format.size(value)
    return f"{value:,.2f}×" if unit == "ratio" else f"{value:,.0f}"


def interval(found: Growth | None) -> str:
    """``+1.2 KB (−3.0 KB … +5.1 KB)``"""
    if found is None:
        return "too few runs to say"
    return f"{more(found.per_day)} ({more(found.low)} … {more(found.high)})"


def kept(middle: int | None, ends: Sequence[float] | None) -> str:
    """The median of what runs kept, with its interval where there is one: ``312 B (−40 B … 1.1 KB)``"""
    text = format.size(middle)
    return f"{text} ({format.size(ends[0])} … {format.size(ends[1])})" if ends else text


def block(
    tapes: Sequence[Tape],
    title: str,
    unit: str,
    before: int,
    after: int,
    measured: Callable[[Tape], float | None],
    reach: Callable[[Tape], Growth | None],
) -> Block:
    """The bars of one component: the diagrams' figures, and under each what was measured in that manner."""
    bars = []
    for name, promised in ((BEFORE, before), (AFTER, after), (EVERTICK, None)):
        if promised is not None:
            bars.append(Bar(f"{name} said", f"{TITLES[name]}, diagram", share(promised), f"about {_round(promised)}"))
        for tape in tapes:
            if tape.name == name:
                bars.append(_bar(tape, name, measured(tape), reach(tape), daily="a day" in unit))
    told = [
        f"{TITLES[tape.name]} {interval(found)}" for tape in tapes if tape.name in TITLES and (found := reach(tape))
    ]
    return Block(title, unit, bars, "; ".join(told) or "Heap, the median of the runs.")


def _bar(tape: Tape, name: str, found: float | None, reach: Growth | None, *, daily: bool) -> Bar:
    label = "Evertick" if name == EVERTICK else f"{TITLES[name]}, measured"
    if found is None:
        text = "too few runs"
    elif daily:
        text = more(found)
    else:
        text = format.size(found)
    ends = (share(reach.low), share(reach.high)) if reach is not None else None
    return Bar("here" if name == EVERTICK else name, label, share(found or 0), text, ends)


def compared(tapes: Sequence[Tape]) -> list[Compared]:
    """The three flows and the whole, beside what the flow diagrams say."""

    def row(what: str, before: str, after: str, read: Callable[[Tape], str]) -> Compared:
        return Compared(what, before, after, {EVERTICK: format.DASH} | {tape.name: read(tape) for tape in tapes})

    return [
        row("Connections leaked", "about 480 in 24 h", "0", lambda t: _count(t.connections_leaked)),
        row("Kept per report", "about 7 MB", "about 100 KB", lambda t: kept(t.kept_per_report, t.kept_per_report_95)),
        row("Kept per iteration of the auto-report scheduler", "about 10 MB", "about 1 MB",
            lambda t: kept(t.kept_per_iteration, t.kept_per_iteration_95)),
        row("Market indices, growth a day", "about 50 MB", "about 5 MB", lambda t: _per_day(t.indices)),
        row("All, growth of heap a day", "about 200 MB", "about 20 MB", lambda t: _per_day(t.heap)),
        row("All, growth of RSS a day", format.DASH, format.DASH, lambda t: _per_day(t.rss)),
        row("RSS at the start", format.DASH, format.DASH, lambda t: format.size(t.start_rss)),
        row("RSS, steady (median of the second half)", format.DASH, "150–180 MB", lambda t: format.size(t.steady_rss)),
        row("RSS, at its highest", "crash at about 650 MB", format.DASH, lambda t: format.size(t.peak_rss)),
        row("Peak above steady while a report is made", format.DASH, "7 MB or more",
            lambda t: format.size(t.peak_above_steady)),
        row("Warm-up, left out of growth and of what is kept", format.DASH, format.DASH, lambda t: _span(t.warm_up_s)),
        row("Ended before its time", "yes", "no", _ended),
        row("Real time it took", format.DASH, format.DASH, lambda t: format.seconds(t.seconds)),
    ]  # fmt: skip


def _ended(tape: Tape) -> str:
    return "no" if tape.crashed is None else f"after {clock(tape.days * _DAY, tape.days * _DAY)}: {tape.crashed}"


def jobs(tape: Tape, title: str) -> Iterator[Job]:
    for name in dict.fromkeys([*tape.receipts, *tape.runs]):
        receipt = tape.receipts.get(name, {})
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in tape.runs.get(name, {}).items())
        yield Job(
            title,
            name,
            outcomes or format.DASH,
            [
                _count(receipt.get("runs")),
                _count(receipt.get("failed")),
                _count(receipt.get("overlapped")),
                format.seconds(receipt.get("median_s")),
                format.size(receipt.get("retained")),
                format.size(receipt.get("freed")),
                format.seconds(receipt.get("release_s")),
            ],
        )


def fault(one: Injury, span: float) -> Fault:
    return Fault(
        clock(one.at, span),
        one.kind,
        one.what,
        "never" if one.recovered_s is None else format.seconds(one.recovered_s),
        ", ".join(name for name, found in one.found.items() if found is True),
        [f"{name}: {found}" for name, found in one.found.items() if found is not True],
    )


def flat(above: str, read: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values in the order they came, nested ones with their path; nothing is left out.

    >>> list(flat("", {"cpus": 2, "memory": {"free_bytes": 2048}, "languages": ["vi", "en"]}))
    [('cpus', '2'), ('memory free', '2.0 KB'), ('languages', 'vi, en')]
    """
    for name, value in read.items():
        label = f"{above} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat(label, value)
        elif name.endswith("_bytes") and isinstance(value, int):
            yield label.removesuffix(" bytes"), format.size(value)
        elif isinstance(value, list | tuple):
            yield label, ", ".join(map(str, value))
        else:
            yield label, format.DASH if value is None else str(value)


def _middle(found: Growth | None) -> float | None:
    return found.per_day if found is not None else None


def _per_day(found: Growth | None) -> str:
    return "too few runs" if found is None else more(found.per_day)


def _span(seconds: float | None) -> str:
    return format.DASH if seconds is None else clock(seconds, seconds)


def _count(value: float | None) -> str:
    return format.DASH if value is None else f"{value:,.0f}"


def _some(count: int, what: str, ending: str = "s") -> str:
    return f"{count:,} {what}{ending if count != 1 else ''}"


def _round(count: int) -> str:
    return f"{count // MB} MB" if count >= MB else f"{count // KB} KB"
