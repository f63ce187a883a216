"""XML from providers, read element by element: no tree is built, and a document type is refused.

A document type is where entities are declared, and with them the answers of a few hundred bytes that unpack to
gigabytes, or that name a file to be read in (https://docs.python.org/3/library/xml.html#xml-vulnerabilities). No provider
here sends one.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from evertick.errors import SourceMalformed

Element = tuple[str, dict[str, str]]
"""Name and attributes."""
_PIECE = 16 << 10


class _Declared(Exception):
    """A document type came."""


def elements(provider: str, endpoint: str, body: bytes) -> Iterator[Element]:
    """The elements of ``body`` in the order in which they open, named without their namespace.

    Raises `SourceMalformed`, for a document type when it is met, for one that breaks off at its end.
    """
    found: list[Element] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: found.append((name.rpartition(" ")[2], attributes))
    parser.StartDoctypeDeclHandler = _refuse
    for start in range(0, len(body) + 1, _PIECE):
        piece = body[start : start + _PIECE]
        try:
            parser.Parse(piece, start + _PIECE > len(body))
        except _Declared:
            raise SourceMalformed(
                provider, endpoint, "XML with a document type", expected="XML without entities"
            ) from None
        except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: an encoding that is not known
            raise SourceMalformed(provider, endpoint, f"broken XML ({str(error)[:120]})", expected="XML") from None
        yield from found
        found.clear()


def _refuse(*declared: object) -> None:
    raise _Declared
