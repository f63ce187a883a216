"""Catalogues for the renderer's tests, scripted: what is not listed reads in English."""

from __future__ import annotations

from evertick.reports.render.numbers import Numbers
from evertick.reports.render.words import Words

ZONE = "Asia/Ho_Chi_Minh"


class Scripted:
    def __init__(self, language: str, texts: dict[str, str] | None = None, one_form: bool = False) -> None:
        self.language = language
        self.texts = texts or {}
        self.one_form = one_form

    def text(self, msgid: str) -> str:
        return self.texts.get(msgid, msgid)

    def plural(self, msgid: str, plural: str, n: int) -> str:
        return self.texts.get(msgid, msgid if n == 1 and not self.one_form else plural)


def words(language: str = "en", texts: dict[str, str] | None = None) -> Words:
    return Words(Scripted(language, texts), Numbers(language, ZONE))
