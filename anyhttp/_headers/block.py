"""Header fields of a request as the lines that are sent."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from .._common import Fields, FieldsMemo
from .fields import check_fields, fields_for_origin

__all__ = (
    "HeaderBlock",
    "blocks_for_origin",
    "blocks_for_proxy",
    "extended_block",
    "header_block",
    "header_lines",
)

#: White space that may surround a field value (:rfc:`9110#section-5.5`).
_FIELD_SPACE: Final = " \t"


class HeaderBlock:
    """Header fields that have been checked, and the bytes that they are sent as."""

    __slots__ = ("closes", "fields", "lines", "upgrades")

    def __init__(
        self, fields: Fields, lines: bytes, *, upgrades: bool = False, closes: bool = False
    ) -> None:
        self.fields: Fields = fields
        #: the lines of the fields, with the empty line at the end
        self.lines: bytes = lines
        #: whether the fields ask for another protocol
        self.upgrades: bool = upgrades
        #: whether they ask for the end of the connection (:rfc:`9112#section-9.6`)
        self.closes: bool = closes


def header_lines(fields: Fields) -> bytes:
    """Return the lines of *fields*, without an empty line.

    :raises ValueError: a field contains a line break; callers should have checked that before
    """
    pieces: list[str] = []
    for name, value in fields:  # names are often of a derived class, which f-strings copy slowly
        pieces += (name, ": ", value.strip(_FIELD_SPACE), "\r\n")
    text = "".join(pieces)
    if text.count("\r") != len(fields) or text.count("\n") != len(fields):
        raise ValueError("the request head is not valid HTTP/1.1: a field holds a line break")
    return text.encode("utf-8", "surrogateescape")


def header_block(fields: Fields) -> HeaderBlock:
    """Return *fields*, which have been checked, as they are sent.

    :raises ValueError: a field contains a line break; callers should have checked that before
    """
    upgrades, have_options = _say_of_connection(tuple([name for name, _ in fields]))
    return HeaderBlock(
        fields,
        header_lines(fields) + b"\r\n",
        upgrades=upgrades,
        closes=have_options and _ask_to_close(fields),
    )


# Only names in requests are cached, so no peer chooses what is stored.
@lru_cache(maxsize=256)
def _say_of_connection(names: tuple[str, ...]) -> tuple[bool, bool]:
    """Return whether there is an ``Upgrade`` among *names*, and whether a ``Connection``."""
    lowered = [name.lower() for name in names]
    return "upgrade" in lowered, "connection" in lowered


def extended_block(block: HeaderBlock, name: str, value: str) -> HeaderBlock:
    """Return *block* with another field, which says nothing of the connection, at its end.

    :raises ValueError: the field cannot be sent
    """
    field = check_fields(((name, value),))
    lines = block.lines[:-2] + header_lines(field) + b"\r\n"
    return HeaderBlock((*block.fields, *field), lines, upgrades=block.upgrades, closes=block.closes)


def _ask_to_close(fields: Fields) -> bool:
    options = ",".join([value for name, value in fields if name.lower() == "connection"])
    return "close" in [option.strip(_FIELD_SPACE) for option in options.lower().split(",")]


def _block_for_origin(fields: Fields) -> HeaderBlock:
    return header_block(fields_for_origin(fields))


def _block_for_proxy(fields: Fields) -> HeaderBlock:
    return header_block(check_fields(fields))


# Headers of sessions and middlewares can contain anything, so the fields of each request are
# checked.  Many requests repeat the same fields, so the results are kept.
blocks_for_origin: Final = FieldsMemo(_block_for_origin)
blocks_for_proxy: Final = FieldsMemo(_block_for_proxy)
