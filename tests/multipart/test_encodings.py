from __future__ import annotations

import base64
import gzip
import quopri
import zlib

import pytest

from anyhttp.client_exceptions import ClientPayloadError
from anyhttp.multipart._encodings import DECODED_ALONE, STEP, PartDecoder, encode


def decoded(*pieces: bytes, transfer: str = "", content: str = "") -> bytes:
    """Decode *pieces*, which follow each other."""
    decoder = PartDecoder(transfer, content)
    out = [piece for data in pieces for piece in decoder.feed(data)]
    out += decoder.finish()
    assert all(len(piece) <= STEP for piece in out)
    return b"".join(out)


TEXT = b"caf\xc3\xa9 = 1 \r\n\tindented\t\r\nbare\rand\nend "


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("base64", base64.b64encode(TEXT)),
        (
            "quoted-printable",
            b"caf=C3=A9 =3D 1=20\r\n\tindented=09\r\nbare=0Dand=0Aend=20",
        ),
    ],
)
def test_transfer_encodings(encoding: str, encoded: bytes) -> None:
    """RFC 2045 §6.7, §6.8; no line is folded (RFC 9112 appendix B.6), no bare line break lost."""
    assert encode(TEXT, [encoding]) == encoded
    assert decoded(encoded, transfer=encoding) == TEXT


def test_content_encodings() -> None:
    """What is compressed here, others can decompress; "deflate" is written without a wrapper."""
    assert gzip.decompress(encode(TEXT, ["gzip"])) == TEXT
    assert zlib.decompress(encode(TEXT, ["deflate"]), -zlib.MAX_WBITS) == TEXT
    assert encode(TEXT, ["gzip", "base64"]) == base64.b64encode(encode(TEXT, ["gzip"]))


@pytest.mark.parametrize("content", ["gzip", "deflate", "GZIP", "identity", ""])
@pytest.mark.parametrize("transfer", ["base64", "quoted-printable", "binary", "8bit", "7bit", ""])
def test_both_are_undone_in_order(transfer: str, content: str) -> None:
    """RFC 2045 §6: the transfer encoding is what was applied last."""
    encodings = [
        name for name in (content.lower(), transfer) if name in {"gzip", "deflate", *DECODED_ALONE}
    ]
    encoded = encode(TEXT, encodings)
    assert decoded(encoded, transfer=transfer, content=content) == TEXT
    single = [encoded[i : i + 1] for i in range(len(encoded))]
    assert decoded(*single, transfer=transfer, content=content) == TEXT


def test_deflate_is_read_in_both_of_its_forms() -> None:
    """The name means zlib's format, but the bare one is what many send."""
    assert decoded(zlib.compress(TEXT), content="deflate") == TEXT


def test_unknown_encodings_are_told() -> None:
    """What cannot be decoded is not passed off as decoded."""
    with pytest.raises(RuntimeError, match="unknown content transfer encoding: uuencode"):
        PartDecoder("uuencode", "")
    with pytest.raises(RuntimeError, match="unknown content encoding: rot13"):
        PartDecoder("", "rot13")
    with pytest.raises(ClientPayloadError, match="codings"):
        PartDecoder("", ",".join(["gzip"] * 6))


@pytest.mark.parametrize("encodings", [("\u202e\x9b", ""), ("", "\u202e\x9b")])
def test_the_names_of_unknown_encodings_are_shown_escaped(encodings: tuple[str, str]) -> None:
    """A terminal that shows the error obeys nothing in it."""
    with pytest.raises(RuntimeError) as caught:
        PartDecoder(*encodings)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"aGk=", b"hi"),
        (b"a G\r\nk=\r\n", b"hi"),
        (b"aG?k", None),
        (b"aGk=aGk=", b"hi"),  # padding is the end
        (b"", b""),
        (b"\r\n", b""),
        (b"aGk", None),
        (b"aGkx=", None),
        (b"a===", None),
    ],
)
def test_base64_of_mime(data: bytes, text: bytes | None) -> None:
    """RFC 2045 §6.8: foreign characters are ignored, padding ends it, a missing end is told."""
    singly = [data[i : i + 1] for i in range(len(data))]
    for pieces in ([data], singly):
        if text is None:
            with pytest.raises(ClientPayloadError, match="base64"):
                decoded(*pieces, transfer="base64")
        else:
            assert decoded(*pieces, transfer="base64") == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a=\r\nb=\nc", b"abc"),
        (b"=3d=3D", b"=="),
        (b"==41", b"=A"),
        (b"50=%", b"50=%"),
        (b"end=", b"end="),
        (b"end=4", b"end=4"),
    ],
)
def test_quoted_printable_of_mime(data: bytes, text: bytes) -> None:
    """RFC 2045 §6.7: soft line breaks vanish; what is no escape stands for itself."""
    assert decoded(data, transfer="quoted-printable") == text
    singly = (data[i : i + 1] for i in range(len(data)))
    assert decoded(*singly, transfer="quoted-printable") == text


def test_quoted_printable_is_what_others_read() -> None:
    """The standard library reads what is written here."""
    assert quopri.decodestring(encode(TEXT, ["quoted-printable"])) == TEXT


@pytest.mark.parametrize(
    "data",
    [gzip.compress(TEXT, mtime=0)[:-1], b"no gzip at all"],
)
def test_bad_compressed_data_are_told(data: bytes) -> None:
    """A part that is cut short must not pass for a whole one."""
    with pytest.raises(ClientPayloadError, match="cannot be decoded"):
        decoded(data, content="gzip")


def test_junk_after_compressed_data_is_ignored() -> None:
    """As in the body of a response."""
    assert decoded(gzip.compress(TEXT) + b"more", content="gzip") == TEXT


def test_a_bomb_is_decoded_step_by_step() -> None:
    """CVE-2025-69223: a few bytes that stand for many never come out all at once."""
    bomb = gzip.compress(bytes(50 * 1024 * 1024))
    pieces = PartDecoder("", "gzip").feed(bomb)
    assert len(next(pieces)) <= STEP
    assert len(next(pieces)) <= STEP
