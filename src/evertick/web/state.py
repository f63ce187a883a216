"""What the routes share: one object on ``app.state.web``, made by `evertick.web.app.create_app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from evertick.desks import Desks
from evertick.web.auth import Access
from evertick.web.description import Description
from evertick.web.feed import Feed
from evertick.web.kept import Pages as Kept
from evertick.web.metrics import Metrics
from evertick.web.services import Services
from evertick.web.static import Assets
from evertick.web.streams import Streams

if TYPE_CHECKING:
    from evertick.web.pages.pages import Pages


@dataclass(frozen=True, slots=True)
class Web:
    services: Services
    access: Access
    feed: Feed
    streams: Streams
    metrics: Metrics
    assets: Assets
    pages: Pages
    kept: Kept
    desks: Desks
    description: Description

    def stop(self) -> None:
        """The server stops: let every stream end, take no new one."""
        self.feed.close()
        self.streams.stopping.set()
        self.kept.clear()


def web_of(request: Request) -> Web:
    web: Web = request.app.state.web
    return web
