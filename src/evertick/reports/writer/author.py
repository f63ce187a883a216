"""Everything in a row for one language; whatever goes wrong is one line for the keeper, and the rules' text stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from evertick.errors import EvertickError, SettingsError, WriterError
from evertick.model import Clock
from evertick.reports.findings import Findings
from evertick.reports.shown import Grammar
from evertick.reports.writer.brief import brief
from evertick.reports.writer.client import Answer, Client, Poster
from evertick.reports.writer.judge import judge
from evertick.reports.writer.lexicon import LEXICONS, lexicon
from evertick.reports.writer.prompt import messages
from evertick.reports.writer.purse import Purse, Usage
from evertick.reports.written import Written
from evertick.settings import WriterSettings

TOLD = 3
"""Reasons that are told of struck sentences."""
NAME = 60
"""Characters of the model's name on the page."""

log = structlog.get_logger()


class Author:
    """Words the headline and the key points in those of ``languages`` that it knows."""

    def __init__(self, client: Client, purse: Purse, model: str, languages: Sequence[str]) -> None:
        self._client = client
        self._purse = purse
        self._model = "".join(c for c in model if c.isprintable() and c not in "{}")[:NAME]
        self._languages = frozenset(languages)

    async def write(
        self, language: str, findings: Findings, words: Any, timezone: str
    ) -> tuple[Written | None, Sequence[str]]:
        """The text of one language, or ``None`` where the rules' text stands; and what the keeper should know."""
        known = lexicon(language)
        if known is None or language not in self._languages:
            return None, ()
        if findings.many:
            given = await asyncio.to_thread(brief, language, findings, words)
        else:
            given = brief(language, findings, words)
        asked = messages(given)
        try:
            async with self._purse.answer(asked) as bill:
                answer: Answer = await self._client.complete(asked)
                bill.of(answer)
        except EvertickError as error:
            log.warning("the rules' text stands in for the AI writer", language=language, error=str(error))
            return None, (f"AI writer, {language}: the rules' text stands: {error}",)
        verdict = judge(answer.text, given, Grammar(language, words.catalogue, timezone), known, self._model)
        said = []
        if verdict.struck:
            why = "; ".join(verdict.struck[:TOLD]) + ("; …" if len(verdict.struck) > TOLD else "")
            said.append(f"AI writer, {language}: {len(verdict.struck)} of {verdict.sentences} sentences struck: {why}")
        if verdict.written is None:
            said.append(f"AI writer, {language}: the rules' text stands: too little was left of the model's")
        if said:
            log.warning("AI writer", language=language, struck=len(verdict.struck), used=verdict.written is not None)
        return verdict.written, tuple(said)


def open_author(http: Poster, usage: Usage, settings: WriterSettings, clock: Clock, locales: Sequence[str]) -> Author:
    """The author that ``settings`` ask for. Raises `SettingsError` for a language that nobody could judge."""
    return Author(
        Client(http, settings, clock), Purse(usage, settings, clock), settings.model, languages(settings, locales)
    )


def languages(settings: WriterSettings, locales: Sequence[str]) -> tuple[str, ...]:
    """Those that a model may write: all that are known, or those of the settings. Raises `SettingsError`."""
    for language in settings.languages or ():
        if lexicon(language) is None:
            raise SettingsError(
                f"WRITER__LANGUAGES={language}: what a model writes in it cannot be judged",
                hint=f"Choose among {', '.join(sorted(LEXICONS))}.",
            )
        if language not in locales:
            raise SettingsError(f"WRITER__LANGUAGES={language} is not among LOCALES")
    return tuple(settings.languages or (code for code in locales if lexicon(code) is not None))


async def probe(client: Client) -> str:
    """Asks the endpoint for one word; says what came. Raises `WriterError`."""
    try:
        answer = await client.complete([{"role": "user", "content": "Answer with one word: ready"}], max_tokens=16)
    except WriterError as error:
        if "MAX_TOKENS" in error.message:
            return "it answers, at length"
        raise
    counts = "it counts tokens" if answer.tokens_out is not None else "it does not count tokens: they are estimated"
    return f"it answers; {counts}"
