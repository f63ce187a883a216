"""The database: reports in streamed parts, daily bars, quotes, receipts, the ledger of slots.

    async with open_archive("sqlite:///evertick.db", clock) as archive:
        page = await archive.reports.list()

SQLite and PostgreSQL through one set of tables (`tables`) and one engine (`database`). `migrate` and `backup` stand
apart: they import Alembic or start pg_dump, and the server does neither.
"""

from evertick.archive.archive import Archive, open_archive

__all__ = ["Archive", "open_archive"]
