"""Pieces of a body that are sent together, and those that may not wait for others."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from anyhttp import AsyncIterablePayload, BytesPayload, ClientOSError, ClientPayloadError, Payload
from anyhttp._http1 import Framing, Limits
from anyhttp._http1.engine import Engine
from anyhttp._http1.upload import LARGE_PIECE, LARGEST_PIECE, Upload, UploadState
from anyhttp.payload import LimitedWriter, Writer

KiB = 1024


class Wire:
    """A stream to a peer that takes all, nothing, or is gone.

    :ivar sent: what each call has sent
    :ivar drained: set when the operating system has room again
    :ivar lost: raised instead of sending
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_full = False
        self.drained = anyio.Event()
        self.drains = 0
        self.lost: Exception | None = None

    def send_nowait(self, data: bytes | memoryview) -> bool:
        """Note *data*."""
        if self.lost is not None:
            raise self.lost
        self.sent.append(bytes(data))
        return not self.is_full

    def send_together_nowait(self, *pieces: bytes | memoryview) -> bool:
        """Note *pieces*, each for itself."""
        return [self.send_nowait(piece) for piece in pieces if piece][-1]

    async def drain(self) -> None:
        """Wait as long as the test wants."""
        self.drains += 1
        await self.drained.wait()
        self.is_full = False
        if self.lost is not None:
            raise self.lost

    def send_last(self, data: bytes) -> None:
        """Note *data*."""
        self.sent.append(data)

    async def checkpoint_if_cancelled(self) -> None:
        """Do what streams do."""
        await anyio.lowlevel.checkpoint_if_cancelled()

    @property
    def all(self) -> bytes:
        """All that was sent."""
        return b"".join(self.sent)


class Tasks:
    """Helper tasks in a task group of the test."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group

    def make_scope(self) -> anyio.CancelScope:
        """Make one."""
        return anyio.CancelScope()

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        scope: anyio.CancelScope | None = None,
        unstarted: object = None,
    ) -> None:
        """Start one."""

        async def run() -> None:
            with scope or anyio.CancelScope():
                await function(*args)

        self._group.start_soon(run)

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* here."""
        function()


class Written(Payload):
    """A body that a function of the test writes."""

    def __init__(self, function: Callable[[Writer], Awaitable[None]]) -> None:
        super().__init__(None)
        self._function = function

    async def write(self, writer: Writer) -> None:
        """Call the function."""
        await self._function(writer)


def upload_of(payload: Payload, wire: Wire, *, length: int | None = None) -> Upload:
    """Return an upload of *payload*: in chunks, unless it has a length."""
    engine = Engine(Limits())
    chunked = length is None
    engine.send_head("POST", "/", (), chunked=chunked)
    return Upload(payload, Framing(length, chunked=chunked), engine, cast("Any", wire))


async def run(upload: Upload) -> None:
    """Run *upload* to its end."""
    async with anyio.create_task_group() as group:
        upload.tasks = cast("Any", Tasks(group))
        upload.scope = anyio.CancelScope()
        with anyio.fail_after(5), upload.scope:
            await upload.run()


def ready(*pieces: bytes) -> AsyncIterablePayload:
    """Return a body of pieces that are all there."""

    async def generate() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return AsyncIterablePayload(generate())


@pytest.fixture(autouse=True)
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time run out on a busy machine."""
    monkeypatch.setattr("anyhttp._http1.upload.GATHERED_SECONDS", math.inf)


class TestTogether:
    async def test_pieces_that_are_ready(self) -> None:
        """They are chunks of their own, in one call; the last chunk comes with them."""
        upload = upload_of(ready(b"one", b"", b"three"), wire := Wire())
        await run(upload)
        assert upload.state is UploadState.SENT
        assert wire.sent == [b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"]

    async def test_a_body_of_known_length(self) -> None:
        """It has no framing at all."""
        wire = Wire()
        await run(upload_of(ready(b"one", b"two"), wire, length=6))
        assert wire.sent == [b"onetwo"]

    @pytest.mark.parametrize(
        ("size", "number", "sent"),
        [(1, 64, 64), (1, 65, 64), (KiB, 65, 64), (2 * KiB, 33, 32), (100 * KiB, 2, 1)],
    )
    async def test_how_many(self, size: int, number: int, sent: int) -> None:
        """No more than 64, and no more than make 64 KiB."""
        wire = Wire()
        await run(upload_of(ready(*[b"x" * size] * number), wire, length=size * number))
        assert len(wire.sent[0]) == sent * size
        assert len(wire.all) == number * size

    async def test_other_tasks_run(self) -> None:
        """After each 64 pieces."""
        wire = Wire()
        seen: list[int] = []

        async def watch() -> None:
            while True:
                seen.append(len(wire.sent))
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await run(upload_of(ready(*[b"x"] * 640), wire, length=640))
            group.cancel_scope.cancel()
        assert len(wire.sent) == 10
        assert len([number for number in seen if 0 < number < 10]) >= 8

    async def test_other_tasks_run_beside_large_pieces(self) -> None:
        """After each 256 KiB."""
        wire = Wire()
        seen: list[int] = []

        async def watch() -> None:
            while True:
                seen.append(len(wire.all))
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await run(upload_of(ready(*[b"x" * 64 * KiB] * 40), wire, length=40 * 64 * KiB))
            group.cancel_scope.cancel()
        assert len(wire.sent) == 40
        steps = [later - before for before, later in pairwise(seen)]
        # In each round, trio runs the tasks in another order, so two turns can follow each other.
        assert max(steps) in (256 * KiB, 512 * KiB)
        assert len([size for size in seen if 0 < size < len(wire.all)]) >= 8

    async def test_the_end_of_a_cancelled_task(self) -> None:
        """It comes after 256 KiB at most."""
        wire = Wire()
        upload = upload_of(ready(*[b"x" * 100 * KiB] * 40), wire, length=40 * 100 * KiB)
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            upload.tasks = cast("Any", Tasks(group))
            with scope:
                upload.scope = scope
                scope.cancel()
                await upload.run()
        assert scope.cancelled_caught
        assert len(wire.sent) <= 3

    async def test_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A body that takes its time between two pieces, but does not wait, lets others run."""
        monkeypatch.setattr("anyhttp._http1.upload.GATHERED_SECONDS", 0.0)
        wire = Wire()
        await run(upload_of(ready(b"one", b"two"), wire, length=6))
        assert wire.sent == [b"one", b"two"]

    async def test_a_large_piece_goes_out_as_it_is(self) -> None:
        """Its frame goes before and after it, and so does what was gathered."""
        large = b"x" * 2 * LARGE_PIECE
        wire = Wire()
        await run(upload_of(ready(b"one", large, b"two"), wire))
        assert wire.sent == [
            b"3\r\none\r\n20000\r\n",
            large,
            b"\r\n",
            b"3\r\ntwo\r\n0\r\n\r\n",
        ]

    @pytest.mark.parametrize("kind", [ready, BytesPayload], ids=["piece", "bytes"])
    @pytest.mark.filterwarnings("ignore:a large body")
    async def test_a_huge_piece_is_sent_in_parts(self, kind: Callable[[bytes], Payload]) -> None:
        """Progress can be seen, and callbacks get what they can handle."""
        huge = bytes(range(256)) * (LARGEST_PIECE // 100)
        upload = upload_of(kind(huge), wire := Wire(), length=len(huge))
        sizes: list[int] = []
        told: list[bytes] = []

        async def tell(piece: bytes) -> None:
            await anyio.lowlevel.checkpoint()
            assert type(piece) is bytes
            told.append(piece)

        upload.on_written, upload.on_chunk = sizes.append, tell
        await run(upload)
        assert wire.all == b"".join(told) == huge
        assert [*map(len, told)] == sizes == [LARGEST_PIECE] * 2 + [len(huge) - 2 * LARGEST_PIECE]

    async def test_a_buffer_that_is_used_again(self) -> None:
        """A body may change what it has written."""

        async def write(writer: Writer) -> None:
            buffer = bytearray(b"one")
            await writer.write(cast("bytes", buffer))
            buffer[:] = b"two"
            await writer.write(cast("bytes", memoryview(buffer)))

        wire = Wire()
        await run(upload_of(Written(write), wire, length=6))
        assert wire.all == b"onetwo"

    @pytest.mark.parametrize("limited", [False, True], ids=["whole", "limited"])
    @pytest.mark.parametrize("number", [3, LARGE_PIECE, LARGEST_PIECE])
    async def test_a_view_of_larger_items(self, number: int, *, limited: bool) -> None:
        """What counts is how many bytes it has, not how many items."""
        numbers = array("I", range(number))

        async def write(writer: Writer) -> None:
            target = LimitedWriter(writer, 4 * number) if limited else writer
            await target.write(cast("bytes", memoryview(numbers)))

        wire = Wire()
        await run(upload_of(Written(write), wire, length=4 * number))
        assert wire.all == numbers.tobytes()


class TestAtOnce:
    @pytest.mark.parametrize("how", ["event", "checkpoint", "sleep"])
    async def test_what_a_body_has_given_before_it_waits(self, how: str) -> None:
        """The peer may have to answer before the body goes on."""
        go_on = anyio.Event()

        async def generate() -> AsyncIterator[bytes]:
            for piece in (b"one", b"two", b"three"):
                yield piece
                yield piece
                if how == "event":
                    await go_on.wait()
                elif how == "sleep":
                    await anyio.sleep(0.001)
                else:
                    await anyio.lowlevel.checkpoint()

        wire = Wire()
        upload = upload_of(AsyncIterablePayload(generate()), wire, length=22)
        progress: list[int] = []
        upload.on_written = progress.append
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            if how == "event":
                await anyio.wait_all_tasks_blocked()
                assert wire.sent == [b"oneone"]
                assert progress == [6]
                go_on.set()
        assert wire.sent == [b"oneone", b"twotwo", b"threethree"]
        assert progress == [6, 6, 10]

    async def test_before_an_error(self) -> None:
        """The peer gets what the body gave before it failed."""

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            raise LookupError

        upload = upload_of(AsyncIterablePayload(generate()), wire := Wire())
        await run(upload)
        assert upload.state is UploadState.FAILED
        assert wire.sent == [b"3\r\none\r\n"]

    async def test_what_fits_before_what_does_not(self) -> None:
        """The pieces before the one that is too much are sent."""

        class TooLong(Written):
            async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
                await self.write(writer)

        async def write(writer: Writer) -> None:
            await writer.write(b"one")
            await writer.write(b"two")

        upload = upload_of(TooLong(write), wire := Wire(), length=5)
        await run(upload)
        assert isinstance(upload.error, ClientPayloadError)
        assert wire.sent == [b"one"]

    async def test_what_a_task_of_the_body_writes(self) -> None:
        """Nobody knows what that task does next."""
        go_on = anyio.Event()

        async def child(writer: Writer) -> None:
            await writer.write(b"two")
            await go_on.wait()

        async def write(writer: Writer) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(child, writer)
                await writer.write(b"one")
            await writer.write(b"three")

        wire = Wire()
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload_of(Written(write), wire, length=11))
            await anyio.wait_all_tasks_blocked()
            assert wire.sent == [b"one", b"two"]
            go_on.set()
        assert wire.sent == [b"one", b"two", b"three"]

    async def test_what_was_given_before_the_request_is_closed(self) -> None:
        """By the body itself, as nobody else can run then."""

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            upload.cancel()
            await anyio.sleep_forever()

        upload = upload_of(AsyncIterablePayload(generate()), wire := Wire())
        await run(upload)
        assert upload.state is UploadState.CANCELLED
        assert wire.sent == [b"3\r\none\r\n"]


class TestFullSocket:
    async def test_while_the_body_waits(self) -> None:
        """Another task sends the rest; what the body gives meanwhile follows it."""
        first, second = anyio.Event(), anyio.Event()

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            await first.wait()
            yield b"two"
            await second.wait()
            yield b"three"

        wire = Wire()
        wire.is_full = True
        upload = upload_of(AsyncIterablePayload(generate()), wire, length=11)
        progress: list[int] = []
        upload.on_written = progress.append
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            assert (wire.sent, wire.drains) == ([b"one"], 1)
            first.set()
            await anyio.wait_all_tasks_blocked()
            assert (wire.sent, progress) == ([b"one"], [])
            wire.drained.set()
            await anyio.wait_all_tasks_blocked()
            assert (wire.sent, progress) == ([b"one", b"two"], [6])
            second.set()
        assert (wire.sent, progress) == ([b"one", b"two", b"three"], [6, 5])
        assert upload.state is UploadState.SENT

    async def test_at_the_end_of_the_body(self) -> None:
        """The upload is over when all has been sent."""

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            await anyio.lowlevel.checkpoint()

        wire = Wire()
        wire.is_full = True
        upload = upload_of(AsyncIterablePayload(generate()), wire, length=3)
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            assert upload.state is UploadState.ENDING
            wire.drained.set()
        assert upload.state is UploadState.SENT

    async def test_tasks_that_write_at_the_same_time(self) -> None:
        """Each piece is whole, and none is lost."""
        large = b"x" * LARGE_PIECE

        async def write(writer: Writer) -> None:
            async with anyio.create_task_group() as group:
                for piece in (b"one", large, b"three"):
                    group.start_soon(writer.write, piece)

        wire = Wire()
        wire.is_full = True
        upload = upload_of(Written(write), wire)
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            wire.drained.set()
        assert upload.state is UploadState.SENT
        for piece in (b"one", large, b"three"):
            assert b"%x\r\n%b\r\n" % (len(piece), piece) in wire.all

    async def test_an_upload_that_is_cancelled(self) -> None:
        """The task that sends the rest ends as well."""

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            await anyio.sleep_forever()

        wire = Wire()
        wire.is_full = True
        upload = upload_of(AsyncIterablePayload(generate()), wire)
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            upload.cancel()
        assert upload.state is UploadState.CANCELLED


class TestLostPeer:
    async def stuck(self) -> AsyncIterator[bytes]:
        """Yield one piece, and wait."""
        yield b"one"
        await anyio.sleep_forever()

    @pytest.mark.parametrize("when", ["at once", "later"])
    async def test_while_the_body_waits(self, when: str) -> None:
        """The wait ends, and the upload with it."""
        wire = Wire()
        error = ClientOSError(32, "Broken pipe")
        if when == "at once":
            wire.lost = error
        wire.is_full = True
        upload = upload_of(AsyncIterablePayload(self.stuck()), wire)
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            wire.lost = error
            wire.drained.set()
        assert upload.state is UploadState.PEER_LEFT
        assert upload.error is error

    async def test_before_the_next_piece(self) -> None:
        """A body that does not let go of its wait learns it there."""
        go_on = anyio.Event()

        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            with anyio.CancelScope(shield=True):
                await go_on.wait()
            yield b"two" * 64 * KiB
            raise AssertionError("nobody wants more")

        wire = Wire()
        wire.lost = ClientOSError(32, "Broken pipe")
        upload = upload_of(AsyncIterablePayload(generate()), wire)
        async with anyio.create_task_group() as group:
            group.start_soon(run, upload)
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        assert upload.state is UploadState.PEER_LEFT
        assert upload.error is wire.lost
