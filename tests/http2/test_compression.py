"""Compression of heads against the library hpack: whatever one side codes, the other decodes."""

from __future__ import annotations

import base64
from random import Random

import pytest
from hypothesis import example, given, strategies as st

pytest.importorskip("hpack", reason="heads are compressed by means of hpack")

import hpack
from hpack.exceptions import HPACKError

from anyhttp._http2 import compression
from anyhttp._http2.compression import CodedFields, FieldDecoder, FieldEncoder, never_indexed
from anyhttp._http2.errors import ConnectionFault, ErrorCode

# Few of them, so that they come again.  Some are in the static table, with values or without.
NAMES = st.sampled_from([b":status", b":method", b"accept", b"x-a", b"x-b", b"x-" + b"long" * 40])
VALUES = st.one_of(
    st.sampled_from([b"", b"200", b"GET", b"*/*", b"v" * 126, b"v" * 127, b"v" * 300, b"w" * 4097]),
    st.binary(max_size=6),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
SIZES = st.lists(st.sampled_from([0, 31, 64, 100, 500, 4096, 10_000]), max_size=3)


def decoder(max_size: int = 65536, table_size: int = 4096) -> FieldDecoder:
    """Return a decoder with the usual bounds."""
    return FieldDecoder(max_size, table_size)


@given(
    heads=st.lists(st.tuples(SIZES, st.integers(0, 3)), max_size=12), known=st.tuples(*[FIELDS] * 4)
)
def test_what_is_coded_is_decoded(
    heads: list[tuple[list[int], int]], known: tuple[list[tuple[bytes, bytes]], ...]
) -> None:
    """Heads that come again too, and after any changes of the table's size."""
    encoder, peer = FieldEncoder(), hpack.Decoder(max_header_list_size=10**6)
    coded = [CodedFields(fields) for fields in known]
    for sizes, number in heads:
        if sizes:
            encoder.resize(min(sizes), sizes[-1])
        block = encoder.encode(
            coded[number],
            b"/" * number * 100,
            b"12" if number else None,
            never_indexed([(b"cookie", b"a=b")]),
        )
        expected = [(b":path", b"/" * number * 100), *known[number]]
        expected += [(b"content-length", b"12")] * bool(number) + [(b"cookie", b"a=b")]
        assert [tuple(field) for field in peer.decode(block, raw=True)] == expected


@given(heads=st.lists(st.tuples(SIZES, FIELDS, st.booleans()), max_size=10))
def test_what_the_library_codes_is_decoded(
    heads: list[tuple[list[int], list[tuple[bytes, bytes]], bool]],
) -> None:
    """With the Huffman code and without it, with any sizes of its table."""
    peer, ours = hpack.Encoder(), decoder()
    for sizes, fields, huffman in heads:
        for size in sizes:
            if min(size, 4096) != peer.header_table_size:  # setting it twice, it would not tell
                peer.header_table_size = min(size, 4096)
        state = ours.state
        block = peer.encode(fields, huffman=huffman)
        assert ours.decode(block) == fields
        if ours.state == state:
            assert ours.decode(block) == fields  # so it can be left out


@given(blocks=st.lists(st.binary(max_size=40), min_size=1, max_size=4))
@example(blocks=[b"\x80"])
@example(blocks=[b"\x3f\xe1\x1f", b"\x3f\xe2\x1f"])
@example(blocks=[b"\x00\x81\xff\x00"])
@example(blocks=[b"\x88\x20"])
@example(blocks=[b"\x40\x01a\x01b", b"\xbe", b"\xbf"])
def test_any_bytes_are_read_as_the_library_reads_them(blocks: list[bytes]) -> None:
    """Or refused, if it refuses them."""
    peer, ours = hpack.Decoder(), decoder()
    for block in blocks:
        try:
            expected = [tuple(field) for field in peer.decode(block, raw=True)]
        except (HPACKError, IndexError):
            with pytest.raises(ConnectionFault) as caught:
                ours.decode(block)
            assert caught.value.code == ErrorCode.COMPRESSION_ERROR
            return
        assert ours.decode(block) == expected


def test_the_examples_of_the_standard() -> None:
    """RFC 7541, appendix C.6: with the Huffman code, and entries that are evicted."""
    ours = decoder(table_size=256)
    blocks = (
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    )
    heads = [dict(ours.decode(bytes.fromhex(block))) for block in blocks]
    assert [head[b":status"] for head in heads] == [b"302", b"307", b"200"]
    assert [head[b"location"] for head in heads[:2]] == [b"https://www.example.com"] * 2
    assert heads[2][b"set-cookie"] == (b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")


def test_what_is_decoded_again_takes_no_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever bytes a server codes by Base64: identifiers, signatures, most cookies."""
    monkeypatch.setattr(compression, "_steps", {})
    numbers = Random(1)
    encoder = hpack.Encoder()
    values = [base64.b64encode(numbers.randbytes(48)) for _ in range(3000)]
    blocks = [encoder.encode([hpack.NeverIndexedHeaderTuple(b"x-a", value)]) for value in values]
    ours = decoder()
    assert [ours.decode(block) for block in blocks] == [[(b"x-a", value)] for value in values]
    steps = dict(compression._steps)
    for block in blocks:
        ours.decode(block)
    assert compression._steps == steps


def test_a_smaller_table_is_kept_to() -> None:
    """A server has to say that it does, but need not use a table at all."""
    ours = decoder(table_size=0)
    assert ours.decode(b"\x20\x88") == [(b":status", b"200")]
    with pytest.raises(ConnectionFault):
        ours.decode(b"\x21")
    ours = decoder(table_size=65536)
    assert ours.decode(b"\x3f\xe1\xff\x03\x88") == [(b":status", b"200")]


@pytest.mark.parametrize("block", [b"\xff" + b"\xff" * 4, b"\xff" + b"\x80" * 100 + b"\x01"])
def test_a_long_number_is_refused(block: bytes) -> None:
    """No table is so large, and computing with long numbers takes long."""
    with pytest.raises(ConnectionFault):
        decoder().decode(block)


def test_a_list_that_is_too_large_is_not_decoded_on() -> None:
    """One byte can stand for an entry of 4 KiB (RFC 7541 §7.3)."""
    ours = decoder(max_size=10_000)
    ours.decode(b"\x40\x01a" + b"\x7f\xa1\x1e" + b"b" * 4000)
    assert len(ours.decode(b"\xbe" * 4)) == 4
    with pytest.raises(ConnectionFault) as caught:
        ours.decode(b"\xbe" * 10_000)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_an_equal_head_is_coded_once() -> None:
    """When its entries have been made."""
    encoder = FieldEncoder()
    coded = CodedFields([(b":method", b"GET"), (b"x-same", b"value")])
    first = encoder.encode(coded, b"/1", None)
    second = encoder.encode(coded, b"/2", None)
    assert coded.block == b"\x82\xbe"
    assert coded.state == encoder.state
    assert first.endswith(b"x-same\x05value")
    assert second == b"\x04\x02/2\x82\xbe"
    assert encoder.encode(coded, b"/1", b"5") == b"\x04\x02/1\x82\xbe\x0f\x0d\x015"


def test_values_that_change_are_put_into_no_table() -> None:
    """They would take the place of those that come again."""
    encoder, peer = FieldEncoder(), hpack.Decoder()
    same, block = (b"user-agent", b"test"), b""
    for number in range(1000):
        fields = [same, (b"x-request-id", b"%036d" % number)]
        block = encoder.encode(CodedFields(fields), None, None)
        assert [tuple(field) for field in peer.decode(block, raw=True)] == fields
    assert peer.header_table.dynamic_entries[-1] == same
    assert block == b"\xc6\x0f\x2f\x24" + b"%036d" % 999


def test_names_that_change_do_not_fill_the_memory() -> None:
    """After some hundreds of names, no more entries are made."""
    encoder, peer = FieldEncoder(), hpack.Decoder()
    for number in range(1000):
        field = (b"x-%d" % number, b"value")
        block = encoder.encode(CodedFields([field]), None, None)
        assert [tuple(field) for field in peer.decode(block, raw=True)] == [field]
    assert len(encoder._values) == 256
    assert len(encoder._numbers) == len(peer.header_table.dynamic_entries)


def test_a_server_without_a_table_changes_nothing() -> None:
    """It may still ask for entries with each head, and say its size: the memo of heads goes on."""
    encoder, ours = hpack.Encoder(), decoder()
    encoder.header_table_size = 0
    ours.decode(encoder.encode([(b"server", b"nginx")]))
    state = ours.state
    for block in (encoder.encode([(b"server", b"nginx")]), b"\x20\x40\x01a\x01b"):
        ours.decode(block)
    assert ours.state == state
