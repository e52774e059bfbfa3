"""Undoing content codings: how much work a step may be, what may follow, what is refused."""

from __future__ import annotations

import gzip
import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

import pytest

from anyhttp._codings import compression
from anyhttp._codings.compression import (
    MAX_EMPTY_MEMBERS,
    MAX_WITHOUT_OUTPUT,
    STEP,
    STEP_COST,
    ContentDecoder,
    DecodingError,
    accept_encoding,
    decoder_for,
)

LIMIT = 1000
TEXT = b"All work and no play makes Jack a dull boy. " * 100
GZIP = gzip.compress(TEXT, mtime=0)
#: A frame of zstd without content (RFC 8878 §3.1.1), and one to be skipped (§3.1.2).
EMPTY_FRAME = bytes.fromhex("28b52ffd2000010000")
SKIPPED_FRAME = bytes.fromhex("502a4d1803000000") + b"abc"


def zstd() -> ModuleType:
    """Return the module for zstd; without one the test is skipped."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        module: ModuleType = pytest.importorskip("backports.zstd")
        return module


def zstd_compress(data: bytes) -> bytes:
    """Return *data* as one frame."""
    return bytes(zstd().compress(data))


def raw_deflate(data: bytes) -> bytes:
    """Return *data* as deflate without the zlib format around it."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def repeated(piece: bytes, times: int) -> bytes:
    """Return many copies of *piece* as gzip; the copies are never together in memory."""
    compressor = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join(compressor.compress(piece) for _ in range(times)) + compressor.flush()


def decoder_of(codings: str) -> ContentDecoder:
    """Return the decoder of *codings*."""
    decoder = decoder_for(codings)
    assert decoder is not None
    return decoder


def decoded(codings: str, *pieces: bytes, limit: int = LIMIT) -> bytes:
    """Return *pieces* decoded; check that no step does more than a step may."""
    decoder = decoder_of(codings)
    found = bytearray()
    for piece in pieces:
        decoder.feed(piece)
        while not decoder.needs_input:
            before = decoder.work
            output = decoder.step(limit)
            assert decoder.work - before <= STEP + limit + STEP_COST
            assert len(output) <= limit
            found += output
    decoder.finish()
    return bytes(found)


def singly(data: bytes) -> Iterable[bytes]:
    """Return the bytes of *data* one by one."""
    return (data[place : place + 1] for place in range(len(data)))


class TestWork:
    @pytest.mark.parametrize(
        ("codings", "make"),
        [
            # frames without content, 9 bytes each
            pytest.param(
                "zstd, gzip, gzip",
                lambda: gzip.compress(repeated(EMPTY_FRAME * 10_000, 100)),
                id="zstd-frames",
            ),
            # members without content, 20 bytes each
            pytest.param(
                "gzip, gzip, gzip",
                lambda: gzip.compress(repeated(gzip.compress(b"", mtime=0) * 10_000, 100)),
                id="gzip-members",
            ),
            # stored blocks without content, 5 bytes each
            pytest.param(
                "deflate, gzip, gzip",
                lambda: gzip.compress(repeated(b"\0\0\0\xff\xff" * 10_000, 100)),
                id="deflate-blocks",
            ),
            # a header that never ends: its file name has no zero byte
            pytest.param(
                "gzip, gzip, gzip",
                lambda: gzip.compress(
                    gzip.compress(b"\x1f\x8b\x08\x08\0\0\0\0\0\0" + b"a" * 10_000_000)
                ),
                id="gzip-header",
            ),
        ],
    )
    def test_what_decodes_to_nothing_is_refused(
        self, codings: str, make: Callable[[], bytes]
    ) -> None:
        """CVE-2025-69223: some hundred bytes that stand for megabytes that stand for nothing."""
        if "zstd" in codings:
            zstd()
        decoder = decoder_of(codings)
        decoder.feed(make())

        def decode() -> None:
            while not decoder.needs_input:
                assert decoder.step(2**16) == b""

        with pytest.raises(DecodingError, match=r"decode to nothing|without content"):
            decode()
        assert decoder.work < 4 * MAX_WITHOUT_OUTPUT

    @pytest.mark.parametrize("codings", ["gzip", "gzip, gzip"])
    def test_a_bomb_comes_out_in_steps(self, codings: str) -> None:
        """CVE-2025-69223: a step takes and returns a bounded number of bytes."""
        bomb = gzip.compress(bytes(5_000_000))
        if codings != "gzip":
            bomb = gzip.compress(bomb)
        assert decoded(codings, bomb, limit=STEP) == bytes(5_000_000)

    @pytest.mark.parametrize("limit", [1, 1000, 2**16, 2**20])
    def test_no_step_of_brotli_returns_more_than_it_may(self, limit: int) -> None:
        """Its library keeps to a limit in whole blocks only: it returns up to twice as much."""
        compress = pytest.importorskip("brotli").compress
        plain = bytes(min(200 * limit, 3_000_000))
        assert decoded("br", compress(plain), limit=limit) == plain
        assert decoded("br", *singly(compress(TEXT)), limit=limit) == TEXT

    def test_bytes_that_cannot_be_compressed(self) -> None:
        """They are taken in steps, too."""
        stored = zlib.compress(TEXT * 100, 0)
        assert decoded("deflate", stored, limit=2**30) == TEXT * 100


class TestMembers:
    def test_many_members(self) -> None:
        """RFC 1952 §2.2: programs that log append one for each of their messages."""
        member = gzip.compress(b"x", mtime=0)
        assert decoded("gzip", member * 3 * MAX_EMPTY_MEMBERS) == b"x" * 3 * MAX_EMPTY_MEMBERS

    @pytest.mark.parametrize(
        ("coding", "empty", "full"),
        [
            ("gzip", gzip.compress(b""), GZIP),
            ("zstd", EMPTY_FRAME, b""),
            ("zstd", SKIPPED_FRAME, b""),
        ],
        ids=["gzip", "zstd", "zstd-skipped"],
    )
    def test_members_without_content(self, coding: str, empty: bytes, full: bytes) -> None:
        """A few are honest; a new decompressor for each of many would take long."""
        full = full or zstd_compress(TEXT)
        some = empty * (MAX_EMPTY_MEMBERS - 1)
        assert decoded(coding, full + some + full + some) == TEXT * 2
        with pytest.raises(DecodingError, match="without content"):
            decoded(coding, full + some + empty * 2)

    def test_frames_that_are_skipped(self) -> None:
        """RFC 8878 §3.1.2: pzstd puts one before each frame."""
        frame = zstd_compress(b"x")
        many = (SKIPPED_FRAME + frame) * 2 * MAX_EMPTY_MEMBERS
        assert decoded("zstd", many) == b"x" * 2 * MAX_EMPTY_MEMBERS


class TestAfterTheEnd:
    @pytest.mark.parametrize(
        ("coding", "encode"),
        [
            ("gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("deflate", raw_deflate),
            ("zstd", zstd_compress),
            ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
            ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data) + b"junk")),
        ],
        ids=["gzip", "deflate-zlib", "deflate-raw", "zstd", "stacked", "stacked-inside"],
    )
    @pytest.mark.parametrize(
        "junk", [b"junk", b"\0" * 40, b"\r\n", b"\x1f", b"\x28\xb5", b"j" * 3 * STEP]
    )
    def test_junk_is_ignored(
        self, coding: str, encode: Callable[[bytes], bytes], junk: bytes
    ) -> None:
        """Servers append line breaks, zeros or a page of their own; browsers show what is whole.

        ``1f`` and ``28b5`` begin another member or frame, which does not come.
        """
        body = encode(TEXT)
        assert decoded(coding, body + junk) == TEXT
        assert decoded(coding, body, junk) == TEXT
        if len(junk) < STEP:
            assert decoded(coding, *singly(body + junk)) == TEXT

    def test_junk_that_never_ends(self) -> None:
        """It can come out of another coding, so it is bounded, too."""
        with pytest.raises(DecodingError, match="decode to nothing"):
            decoded("gzip, gzip", repeated(GZIP + b"x" * 100_000, 20), limit=STEP)

    @pytest.mark.parametrize("body", [GZIP[:-1], zlib.compress(TEXT)[:-1], b"\x78"])
    def test_an_early_end(self, body: bytes) -> None:
        """A body that is cut short must not pass for a whole one."""
        with pytest.raises(DecodingError, match="end early"):
            decoded("gzip" if body in GZIP else "deflate", body)

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
    def test_no_bytes(self, coding: str) -> None:
        """A response without a body may name a coding."""
        if coding == "zstd":
            zstd()
        assert decoded(coding) == b""


class TestZstdWindow:
    @staticmethod
    def frame(window: int) -> bytes:
        """Return a frame of one byte that asks for a window of ``2**window`` bytes."""
        last_block_of_one_byte = (1 | 1 << 3).to_bytes(3, "little")
        head = bytes.fromhex("28b52ffd") + bytes([0, window - 10 << 3])
        return head + last_block_of_one_byte + b"x"

    def test_up_to_eight_mebibytes(self) -> None:
        """RFC 9659 §3."""
        zstd()
        assert decoded("zstd", self.frame(23)) == b"x"

    @pytest.mark.parametrize("window", [24, 27, 31])
    def test_no_more(self, window: int) -> None:
        """A few bytes of a response would allocate 128 MiB."""
        zstd()
        with pytest.raises(DecodingError):
            decoded("zstd", self.frame(window))


class TestWhatIsInstalled:
    """The modules for Brotli and zstd are optional."""

    @pytest.fixture(autouse=True)
    def looks_again(self) -> Iterator[None]:
        """Have the modules looked for anew, and again after the test."""
        found = (compression._brotli, compression._zstd, accept_encoding)
        for function in found:
            function.cache_clear()
        yield
        for function in found:
            function.cache_clear()

    def test_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Servers are not asked for them, and bodies stay as they are."""
        for name in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd"):
            monkeypatch.setitem(sys.modules, name, None)  # an import raises ImportError
        assert accept_encoding() == "gzip, deflate"
        assert decoder_for("br") is None
        assert decoder_for("zstd") is None
        assert decoder_for("gzip") is not None

    def test_brotli_that_cannot_limit_its_output(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An old version is passed over, as one small body could fill the memory."""
        old, new = ModuleType("brotli"), ModuleType("brotlicffi")
        old.Decompressor = type("Decompressor", (), {})  # type: ignore[attr-defined]
        new.Decompressor = type("Decompressor", (), {"can_accept_more_data": None})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "brotli", old)
        monkeypatch.setitem(sys.modules, "brotlicffi", new)
        assert compression._brotli() is new
        compression._brotli.cache_clear()
        monkeypatch.setitem(sys.modules, "brotlicffi", old)
        assert compression._brotli() is None
