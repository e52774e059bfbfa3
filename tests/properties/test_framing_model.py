"""Where a response ends, and what its fields say, against a model of RFC 9112 and RFC 9110."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, strategies as st

from anyhttp._http1.heads import content_type_of
from tests.support.engines import NAMES, Answer, receive, started

BODY = b"abc"
TWICE = ("chunked", "chunked")
IN_CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Framing:
    """The parts of a response that tell where it ends, each with the values of its field lines."""

    method: str
    version: str
    status: int
    lengths: tuple[str, ...]
    codings: tuple[str, ...]
    connection: tuple[str, ...]

    @property
    def head(self) -> bytes:
        """The head, as it is sent."""
        lines = [f"HTTP/{self.version} {self.status} Some words"]
        lines += [f"Content-Length: {value}" for value in self.lengths]
        lines += [f"Transfer-Encoding: {value}" for value in self.codings]
        lines += [f"Connection: {value}" for value in self.connection]
        return "\r\n".join((*lines, "", "")).encode()


def elements(values: tuple[str, ...]) -> list[str]:
    """Return the elements of a field that is a list, in lower case."""
    return [each.strip(" \t").lower() for value in values for each in value.split(",")]


def is_refused(framing: Framing) -> bool:
    """Whether nobody can tell where the response ends (RFC 9112 §6.1, §6.3)."""
    if framing.codings:
        known = elements(framing.codings) in (["chunked"], ["identity"])
        return bool(framing.lengths) or not known
    lengths = elements(framing.lengths)
    return not all(each.isascii() and each.isdigit() for each in lengths) or len(set(lengths)) > 1


def body_of(framing: Framing) -> bytes | None:
    """Return the body as it is sent; ``None`` if it ends with the connection (RFC 9112 §6.3)."""
    if framing.method == "HEAD" or framing.status in {204, 304}:
        return b""
    if framing.codings:
        return IN_CHUNKS if elements(framing.codings) == ["chunked"] else None
    return BODY[: int(elements(framing.lengths)[0])] if framing.lengths else None


def is_kept(framing: Framing) -> bool:
    """Whether the connection may carry another response (RFC 9112 §9.3, RFC 9110 §8.6)."""
    is_announced = bool(framing.codings) or elements(framing.lengths)[:1] not in ([], ["0"])
    if body_of(framing) is None or "identity" in elements(framing.codings):
        return False
    if framing.status == 204 and is_announced:
        return False  # a server that announces a body may also send it
    options = elements(framing.connection)
    if "close" in options:
        return False
    return framing.version == "1.1" or ("keep-alive" in options and not framing.codings)


framings = st.builds(
    Framing,
    method=st.sampled_from(["GET", "GET", "HEAD"]),
    version=st.sampled_from(["1.1", "1.1", "1.0"]),
    status=st.sampled_from([200, 204, 304, 404]),
    lengths=st.sampled_from(
        [(), (), ("3",), ("3",), ("0",), ("3", "3"), ("2, 2",), ("3", "2"), ("+3",), ("3,",)]
    ),
    codings=st.sampled_from(
        [(), (), (), ("chunked",), ("Chunked\t",), ("identity",), ("gzip, chunked",), TWICE]
    ),
    connection=st.sampled_from(
        [(), ("close",), ("Keep-Alive",), ("x, Close",), ("x", "close"), ("keep-alive, x",)]
    ),
)


@given(framing=framings)
def test_the_end_of_a_response_is_where_the_rules_say(framing: Framing) -> None:
    """What is refused, what belongs to the body, and whether another response may follow."""
    refused = is_refused(framing)
    sent = IN_CHUNKS if refused else body_of(framing)
    raw = framing.head + (BODY if sent is None else sent)
    body = BODY if sent is None or sent == IN_CHUNKS else sent
    for name in NAMES:
        for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
            answer = receive(name, pieces, method=framing.method)
            assert isinstance(answer, Answer) != refused, answer
            if isinstance(answer, Answer):
                assert (answer.body, answer.surplus) == (body, b"")
                assert answer.keep_alive is is_kept(framing)


words = st.text("az:;,=\xe9", max_size=4).map(lambda text: text.encode("latin-1"))
spaces = st.sampled_from([b"", b" ", b"\t", b" \t "])


@given(
    name=st.sampled_from([b"Content-Type", b"X-A"]),
    parts=st.lists(words, min_size=1, max_size=4),
    before=spaces,
    after=spaces,
)
def test_a_value_is_what_stands_between_the_spaces_around_it(
    name: bytes, parts: list[bytes], before: bytes, after: bytes
) -> None:
    """RFC 9112 §5.1, §5.2: and each line end within it, with the spaces around it, is one space.

    After such a line end the connection is not kept.
    """
    value = (after + b"\r\n " + before).join(parts)
    raw = b"HTTP/1.1 204 \r\n%b:%b%b%b\r\nX-B: b\r\n\r\n" % (name, before, value, after)
    meant = b" ".join(part for part in parts if part)
    for engine_name in NAMES:
        for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
            engine = started(engine_name)
            for piece in pieces:
                engine.receive(piece)
            head = engine.head
            assert head is not None
            assert list(head.raw_headers) == [(name, meant), (b"X-B", b"b")]
            if name == b"Content-Type":
                assert content_type_of(head) == meant.decode("utf-8", "surrogateescape")
            assert engine.keep_alive is (len(parts) == 1)
