"""What an operator asks: schedules, desks, memory, a soak, and whether everything is there."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from evertick import logs, remote, terminal
from evertick.cli.options import Config, Data, Json, OfDesk, api
from evertick.errors import EvertickError
from evertick.process import run
from evertick.settings import DEFAULT_DESK, load

commands = typer.Typer()
schedule = typer.Typer(no_args_is_help=True, help="What is due, and when.")
memory = typer.Typer(help="Whether memory is flat, and who leaks.")
desk = typer.Typer(no_args_is_help=True, help="The desks of the settings.")


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


@commands.command()
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


@commands.command()
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
