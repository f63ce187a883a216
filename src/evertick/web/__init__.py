"""The API, the pages and the event streams: `evertick.web.app.create_app` makes them of `Services`."""

from evertick.web.services import Check, Services, WebSettings

__all__ = ["Check", "Services", "WebSettings"]
