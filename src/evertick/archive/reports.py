"""Reports: drafted in pieces, published by one update, read back in pieces, pruned in small steps.

::

    id = await store.draft(slot, languages, clock.now())       # a row that nobody sees
    async with store.writer(id, slot.token, "html", language="vi") as part:
        await part.write(...)                                   # many short transactions
    css = await store.asset("css", content)                     # stored once for all reports
    await store.publish(slot, meta)                             # one transaction: lease checked, report visible

A draft is never visible. What a crash leaves behind, `ReportStore.sweep` removes. The id of a report comes from its
slot, and a slot's token grows with every lease: a run that lost its lease is stopped by `Fenced` at its next write, and
at the latest by the transaction that would publish.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, tuple_, update

from evertick.archive import cursor as cursors
from evertick.archive import metadata, removal
from evertick.archive.bodies import Places, Sink
from evertick.archive.connection import Connection, Engine
from evertick.archive.orphans import sweep_orphans
from evertick.archive.parts import PartWriter, compressed, read_asset, write_piece
from evertick.archive.tables import assets, reports, slots
from evertick.errors import ArchiveError, BodyLost, Fenced, NotFound
from evertick.model import Clock, Page, PartMeta, ReportMeta, Slot, report_id


@dataclass(frozen=True, slots=True)
class Asset:
    """A style sheet or script as stored: bytes as a browser sees them (``size``) and as kept (``stored``, gzip)."""

    hash: str
    """sha256 of the stored bytes; its address and its strong ETag."""
    kind: str
    size: int
    stored: int

    def part(self, name: str, language: str) -> PartMeta:
        return PartMeta(name, language, self.size, self.stored, self.hash, asset=self.hash)


class ReportStore:
    def __init__(self, engine: Engine, clock: Clock, places: Places) -> None:
        self._engine = engine
        self._clock = clock
        self._places = places

    # --- making one --------------------------------------------------------------------------------------------------

    async def draft(self, slot: Slot, languages: Sequence[str], created: datetime) -> str:
        """Begin the report of ``slot`` under its token; returns its id. A draft of an earlier lease is thrown away.

        Raises `Fenced` when a later lease has a draft, or when the report of this slot is already published: then `get`
        answers it and nothing is to be made.
        """
        id = report_id(slot.id)
        location = await self._places.new()
        async with self._engine.begin() as connection:
            found = (
                await connection.execute(
                    select(reports.c.token, reports.c.state).where(reports.c.id == id).with_for_update()
                )
            ).first()
            if found is not None and found.state == "published":
                raise Fenced(f"Report {id} is already published.")
            if found is not None and found.token > slot.token:
                raise Fenced(f"Report {id} is being made under token {found.token}; this run has {slot.token}.")
            if found is not None:
                await connection.execute(delete(reports).where(reports.c.id == id))  # its pieces go with it
            await connection.execute(
                insert(reports).values(
                    id=id,
                    desk=slot.desk,
                    slot=slot.id,
                    token=slot.token,
                    state="draft",
                    created=created,
                    meta={"languages": list(languages)},
                    bodies=location,
                )
            )
        return id

    def writer(self, report: str, token: int, part: str, *, language: str = "") -> PartWriter:
        """The way to write a part: see `PartWriter`."""

        async def open_sink() -> Sink:
            return self._places.at(await self._places.new()).sink(report, token, part)

        return PartWriter(open_sink, report, part, language)

    async def write(self, report: str, token: int, part: str, seq: int, body: bytes) -> None:
        """Store one piece of a gzip stream made elsewhere in the database. Raises `Fenced`."""
        await write_piece(self._engine, report, token, part, seq, body)

    async def asset(self, kind: str, content: bytes) -> Asset:
        """Store ``content`` (``css`` or ``js``, a few 100 KB, uncompressed) unless it is there; says where."""
        body = compressed(content)
        asset = Asset(sha256(body).hexdigest(), kind, len(content), len(body))
        now = self._clock.now()
        async with self._engine.begin() as connection:
            # "created" moves on with every use: a draft's assets are nobody's yet, and must outlive the next pruning.
            known = await connection.execute(update(assets).where(assets.c.hash == asset.hash).values(created=now))
            if known.rowcount == 0:
                await connection.execute(
                    _insert_new(connection).values(hash=asset.hash, kind=kind, size=asset.size, created=now, body=body)
                )
        return asset

    async def publish(self, slot: Slot, meta: ReportMeta) -> None:
        """Make the draft of ``slot`` visible: one transaction, which checks the lease and that every piece is there.

        Raises `Fenced` when the lease or the draft went to another run, `ArchiveError` when a part is incomplete,
        `ReportError` when ``meta`` is beyond 4 KB. Publishing again what this token published changes nothing.
        """
        plain = metadata.to_json(meta)
        # Looked at before the transaction, in which no other writer is to wait for a network; what a draft holds is touched by
        # nobody else while the row says that it is ours, and that is checked below.
        stored = await self._places.at(await self._places.new()).stored(meta.id, slot.token)
        async with self._engine.begin() as connection:
            found = (
                await connection.execute(
                    select(reports.c.token, reports.c.state).where(reports.c.id == meta.id).with_for_update()
                )
            ).first()
            if found is not None and found.state == "published" and found.token == slot.token:
                return  # the answer to the first commit was lost on its way
            lease = select(slots.c.id).where(
                slots.c.id == slot.id, slots.c.token == slot.token, slots.c.state == "leased"
            )
            if await connection.scalar(lease.with_for_update()) is None:
                raise Fenced(f"The lease of slot {slot.id} went to another run; report {meta.id} is not published.")
            if found is None or found.state != "draft" or found.token != slot.token:
                raise Fenced(f"Report {meta.id} has no draft under token {slot.token}.")
            await _check_complete(connection, meta, stored)
            await connection.execute(
                update(reports)
                .where(reports.c.id == meta.id)
                .values(
                    state="published",
                    created=meta.created,
                    published=self._clock.now(),
                    size=meta.size,
                    stored=meta.stored,
                    meta=plain,
                )
            )

    async def sweep(self, older_than: datetime) -> int:
        """Remove drafts that nobody will publish: older than that, or their slot no longer leased under their token.

        Returns how many. Also finishes deletions that were interrupted.
        """
        held = select(slots.c.id).where(
            slots.c.id == reports.c.slot, slots.c.token == reports.c.token, slots.c.state == "leased"
        )
        stale = select(reports.c.id).where(
            reports.c.state == "draft", (reports.c.created < older_than) | ~held.exists()
        )
        async with self._engine.connect() as connection:
            found = (await connection.scalars(stale)).all()
        gone = 0
        for id in found:
            if not await removal.remove_report(self._engine, self._places, id):
                break  # its store does not answer: the others would wait for it too
            gone += 1
        if gone:
            await removal.give_back(self._engine)
        return gone

    async def sweep_orphans(self) -> int:
        """Delete objects that no report names and that are old enough not to belong to a run; once a day. Returns how many."""
        return await sweep_orphans(self._engine, self._places, self._clock.now())

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, id: str) -> ReportMeta:
        """Raises `NotFound`; a draft is not there."""
        return (await self._published(id))[0]

    async def latest(self, desk: str | None = None) -> ReportMeta | None:
        return next(iter((await self.list(1, desk=desk)).items), None)

    async def list(self, limit: int = 20, cursor: str | None = None, desk: str | None = None) -> Page[ReportMeta]:
        """Published reports, newest first. Raises `BadCursor`."""
        limit = cursors.bounded(limit)
        query = (
            _rows()
            .where(reports.c.state == "published")
            .order_by(reports.c.created.desc(), reports.c.id.desc())
            .limit(limit + 1)
        )
        if desk is not None:
            query = query.where(reports.c.desk == desk)
        if cursor is not None:
            query = query.where(tuple_(reports.c.created, reports.c.id) < tuple_(*_typed(cursor)))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        items = [_meta(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items, cursors.encode(items[-1].created, items[-1].id) if more else None)

    async def part(self, report: str, part: str) -> AsyncIterator[bytes]:
        """The gzip stream of one part, piece by piece; no connection is held between two pieces.

        Raises `NotFound` at the first piece if there is no such part, later if the report is deleted meanwhile.
        """
        meta, token, location = await self._published(report)
        found = meta.part(part)
        if found is None:
            raise NotFound(f"Report {report} has no part '{part}'; it has {', '.join(p.part for p in meta.parts)}.")
        if found.asset is not None:
            yield (await read_asset(self._engine, found.asset))[1]
            return
        try:
            async with aclosing(self._places.at(location).read(report, token, found)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece
        except BodyLost:
            await self._published(report)  # deleted meanwhile, it is not lost
            raise

    async def asset_body(self, hash: str) -> tuple[str, bytes]:
        """``(kind, gzip bytes)`` of an asset. Raises `NotFound`."""
        return await read_asset(self._engine, hash)

    # --- keeping and deleting ----------------------------------------------------------------------------------------

    async def pin(self, id: str, pinned: bool = True) -> None:
        """Keep a report however old it gets, or no longer. Raises `NotFound`."""
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(reports).where(reports.c.id == id, reports.c.state == "published").values(pinned=pinned)
            )
        if done.rowcount == 0:
            raise NotFound(f"There is no report {id}.")

    async def delete(self, id: str) -> None:
        """Delete a published report, pinned or not, and give its space back. Raises `NotFound`."""
        await self.get(id)
        await removal.remove_report(self._engine, self._places, id)
        await removal.give_back(self._engine)

    async def prune(
        self,
        keep: int,
        older_than: datetime,
        *,
        at_most: int | None = None,
        desks: Collection[str] = (),
        others: bool = True,
    ) -> Sequence[str]:
        """Delete published reports: of each desk those beyond the newest ``keep``, those created before ``older_than``, and
        from the oldest on those with which all of the desk take more than ``at_most`` stored bytes, but then never its
        newest; returns their ids. It is done to all desks but ``desks``; where ``others`` is false, to these alone.

        Pinned reports stay and do not count. In small steps, so that no other writer waits for long. Assets that no
        report uses any more go too, and the space goes back to the disk.
        """
        each: Any = {"partition_by": reports.c.desk, "order_by": (reports.c.created.desc(), reports.c.id.desc())}
        newest_first = select(
            reports.c.id,
            reports.c.created,
            func.row_number().over(**each).label("place"),
            func.sum(reports.c.stored).over(**each).label("taken"),
        ).where(reports.c.state == "published", ~reports.c.pinned)
        if desks or not others:
            among = reports.c.desk.in_(sorted(desks))
            newest_first = newest_first.where(~among if others else among)
        row = newest_first.subquery().c
        too_many = (row.created < older_than) | (row.place > keep)
        if at_most is not None:
            too_many |= (row.taken > at_most) & (row.place > 1)
        async with self._engine.connect() as connection:
            gone = sorted(await connection.scalars(select(row.id).where(too_many)))
        for done, id in enumerate(gone, 1):
            if not await removal.remove_report(self._engine, self._places, id):
                del gone[done:]  # its store does not answer: the others stay until it does
                break
        assets_gone = await removal.remove_unused_assets(self._engine, self._clock.now())
        if gone or assets_gone:
            await removal.give_back(self._engine)
        return gone

    async def _published(self, id: str) -> tuple[ReportMeta, int, str | None]:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_rows().where(reports.c.id == id, reports.c.state == "published"))).first()
        if row is None:
            raise NotFound(f"There is no report {id}.")
        return _meta(row), row.token, row.bodies


def _rows() -> Select[Any]:
    return select(reports.c.token, reports.c.state, reports.c.pinned, reports.c.meta, reports.c.bodies)


def _meta(row: Any) -> ReportMeta:
    return metadata.from_json(row.meta, state=row.state, pinned=row.pinned)


def _typed(cursor: str) -> tuple[Any, Any]:
    from sqlalchemy import literal

    at, id = cursors.decode(cursor)
    return literal(at, reports.c.created.type), literal(id, reports.c.id.type)


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _insert_new(connection: Connection) -> Any:
    """An insert of an asset that another process may be inserting at the same time."""
    if _sqlite(connection):
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(assets).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(assets).on_conflict_do_nothing()


async def _check_complete(connection: Connection, meta: ReportMeta, stored: Mapping[str, int]) -> None:
    """Every piece and asset that ``meta`` promises is stored: a reader never meets half a report."""
    own = [p for p in (*meta.parts, meta.facts) if p is not None and p.asset is None]
    wrong = [p.part for p in own if stored.get(p.part, 0) != p.stored]
    wanted = {p.asset for p in meta.parts if p.asset is not None}
    if wanted:
        there = set(await connection.scalars(select(assets.c.hash).where(assets.c.hash.in_(wanted))))
        wrong += [p.part for p in meta.parts if p.asset is not None and p.asset not in there]
    if wrong:
        raise ArchiveError(f"Report {meta.id} is incomplete: {', '.join(wrong)} not stored as promised.")
