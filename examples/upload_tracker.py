"""Watch an upload from another task."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import anyio

from anyhttp import ClientSession, UploadAbortedError, UploadTracker


async def lines(count: int) -> AsyncIterator[bytes]:
    """Yield the body piece by piece."""
    for number in range(count):
        yield f"line {number}\n".encode()


async def report(tracker: UploadTracker) -> None:
    """Print how the upload ended; ``tracker.bytes_written`` tells at any time how far it is."""
    try:
        await tracker.upload_complete
    except UploadAbortedError:
        print("aborted after", tracker.bytes_written, "bytes")
    else:
        print("sent", tracker.bytes_written, "bytes")


async def main(base_url: str) -> None:
    """Upload a thousand lines, with somebody watching."""
    tracker = UploadTracker()
    async with ClientSession(base_url) as session, anyio.create_task_group() as group:
        group.start_soon(report, tracker)
        async with session.put("upload", data=lines(1000), upload_tracker=tracker) as response:
            await response.read()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
