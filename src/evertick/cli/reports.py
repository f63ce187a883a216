"""Reports: make, list, show, export, compare, keep, render again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from evertick import remote, terminal
from evertick.cli.options import Config, Data, Json, OfDesk, api
from evertick.errors import EvertickError
from evertick.process import run
from evertick.settings import DEFAULT_DESK, load

report = typer.Typer(no_args_is_help=True, help="Make, list, show and export reports.")


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
