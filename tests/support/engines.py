"""Runs both engines without a network: gives them bytes, and returns what they parse."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from anyhttp._http1 import Engine, Limits, ParseError, engine_class

NAMES = ("auto", "h11")

RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Interim:
    status: int
    reason: str
    headers: RawHeaders


@dataclass(frozen=True)
class Answer:
    """The result of a response, after the response and then the connection have ended."""

    interim: tuple[Interim, ...]
    status: int
    reason: str
    version: tuple[int, int]
    headers: RawHeaders
    body: bytes
    chunk_ends: tuple[int, ...]
    """How many bytes of the body there were at the end of each chunk."""
    trailers: RawHeaders
    keep_alive: bool | float
    content_encoding: str
    set_cookies: tuple[str, ...]
    surplus: bytes


@dataclass(frozen=True)
class Refused:
    """A refused response; *head* tells whether its head had been accepted before."""

    reason: str
    head: bool

    def __bool__(self) -> bool:
        return False


def started(
    name: str,
    *,
    method: str = "GET",
    upgrade: bool = False,
    limits: Limits | None = None,
    after: Engine | None = None,
) -> Engine:
    """Return an engine that has sent a request; *after* is the one before on its connection."""
    known = None if after is None else after.known
    engine = engine_class(name)(Limits() if limits is None else limits, known)
    headers = [("Host", "x.test")]
    if upgrade:
        headers += [("Connection", "upgrade"), ("Upgrade", "thing")]
    engine.send_head(method, "/", headers)
    engine.send_end()
    return engine


def receive(
    name: str,
    pieces: Iterable[bytes],
    *,
    method: str = "GET",
    upgrade: bool = False,
    limits: Limits | None = None,
    eof: bool = True,
    after: Engine | None = None,
) -> Answer | Refused:
    """Give *pieces*, and then the end of the connection, to the engine called *name*."""
    engine = started(name, method=method, upgrade=upgrade, limits=limits, after=after)
    interim: list[Interim] = []
    try:
        for piece in pieces:
            engine.receive(piece)
            while (head := engine.head) and head.status < 200 and head.status != 101:
                interim.append(Interim(head.status, head.reason, tuple(head.raw_headers)))
                engine.next_response()
        if engine.error is not None:
            raise engine.error
        if eof and not engine.complete:
            engine.receive(b"")
    except ParseError as exc:
        return Refused(str(exc), head=engine.head is not None)
    head = engine.head
    assert head is not None
    return Answer(
        interim=tuple(interim),
        status=head.status,
        reason=head.reason,
        version=(head.version.major, head.version.minor),
        headers=tuple(head.raw_headers),
        body=b"".join(engine.pieces),
        chunk_ends=tuple(engine.chunk_ends),
        trailers=tuple(engine.trailers),
        keep_alive=engine.keep_alive,
        content_encoding=head.content_encoding,
        set_cookies=tuple(head.set_cookies),
        surplus=engine.surplus,
    )


def splits(raw: bytes, random_ones: int = 3) -> Iterator[list[bytes]]:
    """Yield ways to split *raw*: one piece, single bytes, and random pieces."""
    yield [raw]
    yield [raw[i : i + 1] for i in range(len(raw))]
    chance = random.Random(raw)  # equal bytes are always split in the same way
    for _ in range(random_ones):
        cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(chance.choice((1, 2, 5))))
        yield cut(raw, cuts)


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """Return *raw* cut at *places*, which are in ascending order."""
    ends = [0, *places, len(raw)]
    pieces = [raw[start:end] for start, end in itertools.pairwise(ends)]
    return [piece for piece in pieces if piece]  # an empty piece would mean the end


def agreed(
    raw: bytes, *, method: str = "GET", upgrade: bool = False, limits: Limits | None = None
) -> Answer | Refused:
    """Return the result of both engines for *raw*, for each way to split it; check it is the same.

    Only the text of a refusal may differ.
    """
    first: Answer | Refused | None = None
    for name in NAMES:
        for pieces in splits(raw):
            answer = receive(name, pieces, method=method, upgrade=upgrade, limits=limits)
            if first is None:
                first = answer
            same = bool(first) == bool(answer) and (not answer or answer == first)
            assert same, f"{name} differs on {pieces!r}:\n{answer}\n{first}"
    assert first is not None
    return first
