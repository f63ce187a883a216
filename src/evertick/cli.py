"""The commands and their options."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from evertick import __version__, logs, remote, terminal
from evertick.errors import EvertickError
from evertick.process import run, run_serve, run_worker
from evertick.settings import DEFAULT_DESK, Settings, load

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
report = typer.Typer(no_args_is_help=True, help="Make, list, show and export reports.")
schedule = typer.Typer(no_args_is_help=True, help="What is due, and when.")
memory = typer.Typer(help="Whether memory is flat, and who leaks.")
desk = typer.Typer(no_args_is_help=True, help="The desks of the settings.")
db = typer.Typer(no_args_is_help=True, help="The database: upgrade, backfill, backup, restore.")
cli.add_typer(report, name="report")
cli.add_typer(schedule, name="schedule")
cli.add_typer(desk, name="desk")
cli.add_typer(memory, name="memory")
cli.add_typer(db, name="db")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for pipes.")]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder (DATA_DIR).", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default="evertick.toml")]
Roles = Annotated[
    str | None, typer.Option(help="What this process does (ROLES): web, schedule, work.", show_default=False)
]
OfDesk = Annotated[str | None, typer.Option("--desk", help="The id of a desk.", show_default="the first, or all")]
Host = Annotated[str | None, typer.Option(help="The address to listen on (HOST).", show_default=False)]
Port = Annotated[int | None, typer.Option(help="The port to listen on (PORT); 0 takes a free one.", show_default=False)]


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[remote.Remote]:
    """The API of the server that runs on this data folder; where none runs, of one opened in here for this command."""
    if url := remote.find(settings):
        async with remote.connect(settings, url) as client:
            yield client
        return
    from evertick.app import open_server
    from evertick.web.app import create_app

    logs.configure(settings.log_format, "warning")
    # On several machines the workers do what a command asks for.
    roles = ("work",) if settings.mode == "embedded" else ()
    async with open_server(settings, roles=roles) as server:
        app = create_app(server.services())
        async with app.state.web.feed.watching(), remote.inside(app, settings) as client:
            yield client


def _version(wanted: bool) -> None:
    if wanted:
        terminal.say(f"evertick {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evertick: a market-report server that runs around the clock in the memory it started with."""


# --- servers ---------------------------------------------------------------------------------------------------------


@cli.command()
def serve(host: Host = None, port: Port = None, data: Data = None, config: Config = None, roles: Roles = None) -> None:
    """Run the server: schedulers, jobs and pages, until Ctrl-C or SIGTERM."""
    run_serve(host=host, port=port, data=data, config=config, roles=roles)


@cli.command()
def worker(
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="So many processes, each replaced when it ends.", show_default="this one"),
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Run the jobs of a deployment on several machines (MODE=distributed), until Ctrl-C or SIGTERM.

    Ends with 75 when its memory is used up and another is to be started in its place.
    """
    run_worker(data=data, config=config, processes=processes)


@cli.command()
def demo(
    port: Port = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the data in this folder; else it is gone afterwards.")
    ] = None,
    every: Annotated[str, typer.Option(help="How often the quotes are fetched.")] = "3m",
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 7,
    fail: Annotated[list[str] | None, typer.Option(help="Let a source fail, for example yahoo=429:0.3.")] = None,
) -> None:
    """Run the main job against the bundled simulator: no server, key or internet needed."""
    from evertick.demo import run_demo

    run(run_demo(port=port, data=data, every=every, seed=seed, fail=fail or ()))


@cli.command()
def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8900,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 7,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    start: Annotated[str | None, typer.Option(help="Begin at this instant, ISO 8601; default: now.")] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            help="SOURCE[/PART]=KIND[:SHARE][:TIME], for example yahoo=429:0.3, yahoo/chart=500:60s or all=any:0.1; "
            "repeatable. An unknown kind lists them all."
        ),
    ] = None,
    universe: Annotated[
        Path | None,
        typer.Option(help="A file of instruments, as EVERTICK_UNIVERSE names it; default: the built-in ones."),
    ] = None,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the simulator alone: it speaks the providers' own protocols on loopback, and their failures."""
    from evertick.simulator import serve_forever
    from evertick.universe import load

    logs.configure()

    try:
        begin = datetime.fromisoformat(start) if start else None
    except ValueError:
        raise typer.BadParameter(f"'{start}' is not an instant; write for example 2026-11-23T09:00:00Z") from None

    async def serving() -> None:
        work = asyncio.ensure_future(
            serve_forever(
                load(universe), host=host, port=port, seed=seed, start=begin, speed=speed, fail=fail or (),
                ready=lambda url: terminal.say(f"Simulator ready at {url} (which says how to point a server at it)"),
            )
        )  # fmt: skip
        if until_stdin_closes:  # whoever started us is gone when its end of the pipe is
            threading.Thread(target=_wait_for_end, args=(asyncio.get_running_loop(), work), daemon=True).start()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    run(serving())


def _wait_for_end(loop: asyncio.AbstractEventLoop, work: asyncio.Future[None]) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(work.cancel)


# --- quotes ----------------------------------------------------------------------------------------------------------


@cli.command()
def poll(as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Fetch the markets now, save the snapshot to the board and show what was saved."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.post("/api/v1/indices/refresh")

    document = run(work())
    terminal.as_json(document) if as_json else terminal.indices(document)
    asked = [s["state"] for s in document["sources"] if s["state"] not in ("idle", "off")]
    if asked and not any(state in ("ok", "partial") for state in asked):
        raise typer.Exit(1)


@cli.command()
def board(desk: OfDesk = None, as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Show the latest quotes as they stand on the board, without asking any provider."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/indices", desk=desk)

    document = run(work())
    terminal.as_json(document) if as_json else terminal.indices(document)


@cli.command()
def sources(as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Show every source: its state, last success, requests left today and last error, as of the last run."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/sources")

    found = run(work())
    terminal.as_json(found) if as_json else terminal.sources(found["items"])


# --- reports ---------------------------------------------------------------------------------------------------------


@report.command("make")
def report_make(desk: OfDesk = None, as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Make a report now, in every language, and save it."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            job = await client.post("/api/v1/reports" + (f"?desk={quote(desk)}" if desk else ""))
            with terminal.progress("Report", quiet=as_json) as show:
                while job["state"] in ("due", "leased"):
                    told = job.get("progress") or {}
                    show(told.get("done", 0.0), told.get("text") or told.get("stage", ""))
                    await asyncio.sleep(0.2)
                    job = await client.get(f"/api/v1/jobs/{job['id']}")
            if job["state"] != "done":
                raise EvertickError(f"the report was not made: {job['error'] or job['state']}")
            return await client.get(f"/api/v1/reports/{job['result']['report']}")

    made = run(work())
    if as_json:
        terminal.as_json(made)
    else:
        terminal.say(
            f"{made['id']}: {made['size'] / 1e6:.1f} MB in {made['duration_s']:.1f} s, {', '.join(made['languages'])}"
        )


@report.command("list")
def report_list(
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the page before ended (its next).")] = None,
    desk: OfDesk = None,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """List the published reports, newest first."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/reports", limit=limit, cursor=cursor, desk=desk)

    page = run(work())
    if as_json:
        terminal.as_json(page)
        return
    several = any(r["desk"] != DEFAULT_DESK for r in page["items"])
    rows = [
        (r["id"], *([r["desk"]] if several else []), terminal.when(r["created"]), ", ".join(r["languages"]),
         f"{r['size'] / 1e6:.1f} MB", r["instruments"])
        for r in page["items"]
    ]  # fmt: skip
    columns = ("id", *(["desk"] if several else []), "made", "languages", "size", "instruments")
    terminal.table("Reports", columns, rows, right=(len(columns) - 2, len(columns) - 1))
    if page["next"]:
        terminal.say(f"more with: --cursor {page['next']}")


@report.command("show")
def report_show(
    id: Annotated[str, typer.Argument(help="The id, or latest.")] = "latest",
    desk: OfDesk = None,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Show what is known of one report: languages, parts, sizes, hashes, warnings."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await _report(client, id, desk)

    meta = run(work())
    if as_json:
        terminal.as_json(meta)
        return
    for language, headline in meta["headline"].items():
        terminal.say(f"[{language}] {headline}")
    rows = [(p["part"], p["language"], f"{p['size']:,}", f"{p['stored']:,}", p["sha256"][:16]) for p in meta["parts"]]
    terminal.table(f"Report {meta['id']}", ("part", "language", "bytes", "stored", "sha256"), rows, right=(2, 3))
    terminal.say(f"content {meta['sha256']}{', kept for good' if meta['pinned'] else ''}")
    for warning in meta["warnings"]:
        terminal.say(f"warning: {warning}")


@report.command("export")
def report_export(
    id: Annotated[str, typer.Argument(help="The id, or latest.")] = "latest",
    to: Annotated[Path, typer.Option("--to", help="The folder to write to.")] = Path(),
    single: Annotated[
        bool, typer.Option("--single", help="One file that needs nothing else, in one language.")
    ] = False,
    language: Annotated[str | None, typer.Option(help="With --single; default: the first of the report.")] = None,
    desk: OfDesk = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Write the pages of a report and their styles and scripts to a folder, or one page as one file, for any browser."""
    from evertick.single import export_single

    async def work() -> list[Path]:
        async with api(load(config, data_dir=data)) as client:
            meta = await _report(client, id, desk)
            if single:
                return [await export_single(client, meta, language, to)]
            folder = to / f"evertick-{meta['id']}"
            return await remote.export(client, meta, folder)

    for path in run(work()):
        terminal.say(str(path))


@report.command("diff")
def report_diff(
    before: Annotated[str, typer.Argument(help="The id of the first report.")],
    after: Annotated[str, typer.Argument(help="The id of the second one, or latest.")] = "latest",
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Show what changed from one report to another: headline, instruments, key figures of sections, sources."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            newer = after if after != "latest" else (await _report(client, after))["id"]
            return await client.get(f"/api/v1/reports/{before}/diff/{newer}")

    found = run(work())
    if as_json:
        terminal.as_json(found)
    else:
        from evertick.terminal_diff import differences

        terminal.show(*differences(found))


@report.command("pin")
def report_pin(
    id: Annotated[str, typer.Argument(help="The id, or latest.")], data: Data = None, config: Config = None
) -> None:
    """Keep a report however old it gets, and however many come after it."""
    _pin(id, "pin", data, config)


@report.command("unpin")
def report_unpin(
    id: Annotated[str, typer.Argument(help="The id, or latest.")], data: Data = None, config: Config = None
) -> None:
    """Let a report go when it is its turn."""
    _pin(id, "unpin", data, config)


def _pin(id: str, what: str, data: Path | None, config: Path | None) -> None:
    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            meta = await _report(client, id)
            return await client.post(f"/api/v1/reports/{meta['id']}/{what}")

    meta = run(work())
    terminal.say(f"{meta['id']}: {'kept for good' if meta['pinned'] else 'goes when it is its turn'}")


@report.command("render")
def report_render(
    id: Annotated[str, typer.Argument(help="The id, or latest.")] = "latest",
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Render a report again from its saved facts and compare every part with what is stored; 1 if one differs."""

    async def work() -> list[dict[str, Any]]:
        async with api(load(config, data_dir=data)) as client:
            meta = await _report(client, id)
            return await client.post(f"/api/v1/reports/{meta['id']}/render")

    made = run(work())
    if as_json:
        terminal.as_json(made)
    else:
        rows = [
            (p["part"], p["language"], f"{p['size']:,}", p["sha256"][:16], "yes" if p["same"] else "NO") for p in made
        ]
        terminal.table("Rendered again", ("part", "language", "bytes", "sha256", "same"), rows, right=(2,))
    if not all(p["same"] for p in made):
        raise typer.Exit(1)


async def _report(client: remote.Remote, id: str, desk: str | None = None) -> dict[str, Any]:
    if id == "latest":
        page = await client.get("/api/v1/reports", limit=1, desk=desk)
        if not page["items"]:
            raise EvertickError("there is no report yet", hint="Make one with: evertick report make")
        id = page["items"][0]["id"]
    return await client.get(f"/api/v1/reports/{id}")


# --- the operator ----------------------------------------------------------------------------------------------------


@schedule.command("list")
def schedule_list(desk: OfDesk = None, as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """List the schedules with their next run, and the newest slots with what became of them."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/slots", limit=20, desk=desk)

    page = run(work())
    if as_json:
        terminal.as_json(page)
        return
    terminal.table(
        "Schedules",
        ("job", "schedule", "next run"),
        [(_job(s), s["spec"], terminal.when(s["next_due"])) for s in page["schedules"]],
    )
    terminal.table(
        "Newest slots",
        ("due", "job", "state", "attempts", "finished", "error"),
        [
            (terminal.when(s["due"]), _job(s), s["state"], s["attempts"], terminal.when(s["finished"]), s["error"])
            for s in page["items"]
        ],
        right=(3,),
    )


def _job(row: dict[str, Any]) -> str:
    return str(row["job"] if row["desk"] == DEFAULT_DESK else f"{row['job']} of {row['desk']}")


@desk.command("list")
def desk_list(
    find: Annotated[str, typer.Option(help="Only those whose id or name has this in it.")] = "",
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """List the desks: what they follow, in which languages, and when their next report is due."""

    async def work() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with api(load(config, data_dir=data)) as client:
            cursor: str | None = None
            while True:
                page = await client.get("/api/v1/desks", limit=100, cursor=cursor, q=find or None)
                found += page["items"]
                if (cursor := page["next"]) is None:
                    return found

    desks = run(work())
    if as_json:
        terminal.as_json({"items": desks, "next": None})
        return
    rows = [
        (d["id"], d["name"] if d["name"] != d["id"] else "", len(d["instruments"]), ", ".join(d["locales"]),
         d["report_every"], d["timezone"], terminal.when(d["next_report"]), "closed" if d["closed"] else "")
        for d in desks
    ]  # fmt: skip
    columns = ("id", "name", "instruments", "languages", "reports", "time zone", "next report", "")
    terminal.table("Desks", columns, rows, right=(2,))


@memory.callback(invoke_without_command=True)
def memory_now(
    context: typer.Context,
    span: Annotated[str, typer.Option("--range", help="How far back: 1h 6h 24h 7d 30d 90d.")] = "24h",
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")] = False,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Show whether the memory of the server is flat: the verdict, the timeline, the components, the newest receipts."""
    if context.invoked_subcommand is not None:
        return
    from evertick.terminal_memory import screen

    async def seen(client: remote.Remote) -> dict[str, Any]:
        return {
            "now": await client.get("/api/v1/memory"),
            "statement": await client.get("/api/v1/memory/components"),
            "timeline": await client.get("/api/v1/memory/timeline", range=span),
            "receipts": (await client.get("/api/v1/memory/receipts", limit=8))["items"],
        }

    def drawn(found: dict[str, Any]) -> Any:
        return screen(found["now"], found["statement"], found["timeline"], found["receipts"])

    async def work() -> None:
        async with api(load(config, data_dir=data)) as client:
            if not watch:
                found = await seen(client)
                terminal.as_json(found) if as_json else terminal.show(drawn(found))
                return
            from rich.live import Live

            with Live(drawn(await seen(client)), auto_refresh=False, screen=True) as live:
                while True:
                    await asyncio.sleep(2)
                    live.update(drawn(await seen(client)), refresh=True)

    run(work())


@memory.command("diagnose")
def memory_diagnose(
    runs: Annotated[int, typer.Option(help="Runs to watch.", min=1, max=100)] = 5,
    minutes: Annotated[float, typer.Option(help="Ends after so many minutes in any case.", min=0.1, max=120)] = 30,
    last: Annotated[bool, typer.Option("--last", help="Show the newest one instead of making one.")] = False,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Ask who leaks: trace what the next runs leave behind, by line, type, descriptor and task.

    Python code runs about twice as slowly meanwhile. It needs a running server.
    """
    from evertick.terminal_memory import diagnosis

    settings = load(config, data_dir=data)
    if not last and remote.find(settings) is None:
        raise EvertickError("no server runs on this data folder", hint="Start one with: evertick serve")

    async def work() -> dict[str, Any] | None:
        async with api(settings) as client:
            if not last:
                await client.post("/api/v1/memory/diagnose", {"runs": runs, "at_most_s": minutes * 60})
                with terminal.progress("memory diagnosis", quiet=as_json, lines=True) as show:
                    began = time.monotonic()
                    while (found := await client.get("/api/v1/memory/diagnoses"))["running_since"] is not None:
                        show(min(1.0, (time.monotonic() - began) / (minutes * 60)), f"waiting for {runs} runs")
                        await asyncio.sleep(1)
            else:
                found = await client.get("/api/v1/memory/diagnoses")
            return next(iter(found["items"]), None)

    found = run(work())
    if found is None:
        raise EvertickError("no diagnosis was made yet", hint="Make one with: evertick memory diagnose")
    if as_json:
        terminal.as_json(found)
    else:
        terminal.show(*diagnosis(found))


@cli.command()
def soak(
    days: Annotated[float | None, typer.Option(help="Simulated days.", min=0.02, max=400, show_default="1")] = None,
    real: Annotated[
        str | None, typer.Option(help="Play in real time for so long instead, for example 10m.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed: another market, other readers, other faults.")] = 7,
    instruments: Annotated[
        int | None, typer.Option(help="0: all.", min=0, show_default="all; 60 beyond three days")
    ] = None,
    refreshes: Annotated[int | None, typer.Option(help="A day.", min=24, max=8640, show_default="480")] = None,
    reports: Annotated[int | None, typer.Option(help="A day.", min=1, max=288, show_default="8")] = None,
    requests: Annotated[
        int | None, typer.Option(help="A day.", min=0, show_default="5000; 1000 beyond three days")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Play the naive twins of the flow diagrams too, beside it.")
    ] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="Hurt it: failing providers, killed servers, a full disk, jumping clocks …")
    ] = False,
    redis: Annotated[
        bool, typer.Option("--redis", help="With a Redis of its own, from the installed program.")
    ] = False,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="With a PostgreSQL of its own, from the installed programs.")
    ] = False,
    redis_url: Annotated[
        str | None, typer.Option(help="With this Redis, which is to be empty.", show_default=False)
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="With this database, which is to be empty.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for soak.html, soak.json and server.log.")] = Path(
        "evertick-soak"
    ),
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Replay a day of the server in minutes, readers included, and judge its memory; 1 if a bound is broken."""
    from evertick.soak.command import planned, run_soak, tell, write

    plan = planned(
        days=days, real=real, seed=seed, instruments=instruments, refreshes=refreshes, reports=reports,
        requests=requests, compare=compare, faults=faults,
        database=database_url or ("postgresql" if postgres else "sqlite"),
        board=redis_url or ("redis" if redis else "embedded"),
    )  # fmt: skip
    logs.configure(level="warning")
    out.mkdir(parents=True, exist_ok=True)
    done = run(run_soak(plan, load(config), out, quiet=as_json))
    write(done, out)
    if code := tell(done, out, as_json=as_json):
        raise typer.Exit(code)


@cli.command()
def doctor(as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Check this installation: settings, data folder, database, board, page assets, languages and sources."""
    from evertick.doctor import examine

    logs.configure(level="error")
    checks = run(examine(load(config, data_dir=data)))
    if as_json:
        terminal.as_json([{"check": c.name, "ok": c.ok, "found": c.found, "hint": c.hint} for c in checks])
    else:
        rows = [("ok" if c.ok else "FAIL", c.name, c.found, "" if c.ok else c.hint) for c in checks]
        terminal.table("Doctor", ("", "check", "found", "what to do"), rows)
    if not all(c.ok for c in checks):
        raise typer.Exit(1)


@db.command("upgrade")
def db_upgrade(data: Data = None, config: Config = None) -> None:
    """Bring the schema of the database to the one of this version."""
    from evertick.archive.migrate import upgrade

    settings = load(config, data_dir=data)
    terminal.say(f"schema {upgrade(settings.database_url_or_default)}")


@db.command("backfill")
def db_backfill(
    years: Annotated[float, typer.Option(min=0.1, max=50, help="How far back.")] = 2,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Fetch the daily bars that are missing; stopped at any time, it goes on from there. The server must not run."""
    from evertick.backfill import backfill

    settings = load(config, data_dir=data)
    logs.configure(settings.log_format, "error")

    async def work() -> dict[str, Any]:
        with terminal.progress("Daily bars", quiet=as_json, lines=True) as show:

            async def step(done: int, of: int) -> None:
                show(done / of, f"{done} of {of} instruments")

            return await backfill(settings, years, step)

    done = run(work())
    terminal.as_json(done) if as_json else terminal.backfilled(done)
    if done["failed"]:
        raise typer.Exit(1)


@db.command("backup")
def db_backup(
    to: Annotated[Path, typer.Argument(help="The file to write.")], data: Data = None, config: Config = None
) -> None:
    """Write a consistent copy of the database to a file; the server may run meanwhile."""
    from evertick.archive.backup import backup, elsewhere

    url = load(config, data_dir=data).database_url_or_default
    backup(url, to)
    terminal.say(f"{to}: {to.stat().st_size:,} bytes")
    for location, count in elsewhere(url).items():
        terminal.say(f"not in it: the bodies of {count:,} reports in {location}; copy that place too")


@db.command("restore")
def db_restore(
    source: Annotated[Path, typer.Argument(help="A file made by backup.")], data: Data = None, config: Config = None
) -> None:
    """Put a backup in the place of the database; the server must not run."""
    from evertick.archive.backup import restore

    settings = load(config, data_dir=data)
    if url := remote.find(settings):
        raise EvertickError(f"a server runs on this data folder at {url}", hint="Stop it first.")
    restore(settings.database_url_or_default, source, owner_lock=remote.lock_file(settings))
    terminal.say(f"restored from {source}")
