"""Blocks become a page: HTML in one language, streamed, with figures drawn on the server.

::

    renderer = Renderer("vi", Catalogue.load("vi"), "Asia/Ho_Chi_Minh")
    async for piece in renderer.render(sections, head):   # UTF-8, about 64 KB each
        await writer.write(piece)
"""

from evertick.reports.render.pool import Renderers
from evertick.reports.render.renderer import Renderer

__all__ = ["Renderer", "Renderers"]
