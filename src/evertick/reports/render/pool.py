"""The renderers, one for each language and time zone that reports are made in: shared by all desks, the used ones kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evertick.reports.catalogue import Catalogue
from evertick.reports.render.assets import DIST
from evertick.reports.render.renderer import Renderer

KEPT = 32
"""At most; one takes about 0.15 MB, and 50 ms when it is made again."""


class Renderers:
    """``kept`` bounds how many there are: the one that was used longest ago goes."""

    def __init__(self, kept: int = KEPT, assets: Path = DIST) -> None:
        self._kept = kept
        self._assets = assets
        self._catalogues: dict[str, Catalogue] = {}
        self._renderers: dict[tuple[str, str], Renderer] = {}

    def of(self, languages: Sequence[str], timezone: str) -> dict[str, Renderer]:
        """A renderer for each of ``languages``. Raises `SettingsError` where one has no catalogue."""
        return {language: self._renderer(language, timezone) for language in languages}

    def __len__(self) -> int:
        return len(self._renderers)

    def _renderer(self, language: str, timezone: str) -> Renderer:
        found = self._renderers.pop((language, timezone), None)
        if found is None:
            if language not in self._catalogues:
                self._catalogues[language] = Catalogue.load(language)
            found = Renderer(language, self._catalogues[language], timezone, self._assets)
        self._renderers[language, timezone] = found
        while len(self._renderers) > self._kept:
            del self._renderers[next(iter(self._renderers))]
        return found
