"""Send a large file in a form, and show how much of it has been sent."""

from __future__ import annotations

import sys
import tempfile

import anyio

from anyhttp import ClientSession, FormData, UploadTracker


async def show(tracker: UploadTracker) -> None:
    """Print how far the upload is, ten times a second; here in place of a progress bar."""
    while not tracker.upload_complete.done():
        if tracker.total and sys.stdout.isatty():
            print(end=f"\r{tracker.bytes_written / tracker.total:.0%}", flush=True)
        await anyio.sleep(0.1)


async def main(base_url: str) -> None:
    """Upload ten megabytes."""
    with tempfile.TemporaryFile() as file:
        file.truncate(10_000_000)
        form = FormData({"title": "A large file"})
        form.add_field("file", file, filename="large.bin")
        tracker = UploadTracker()
        async with ClientSession(base_url) as session, anyio.create_task_group() as group:
            group.start_soon(show, tracker)
            async with session.post(
                "upload", data=form, upload_tracker=tracker, timeout=3600
            ) as response:
                print(response.status, await response.text())
        print(f"sent all: {tracker.bytes_written == tracker.total}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
