"""Whatever a server does between one request and the next: a file is one that it has had."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from hypothesis import given, strategies as st

from anyhttp import ClientPayloadError, ClientSession, download
from anyhttp.testing import Answer, MockConnector, ReceivedRequest
from tests.support.examples import examples

#: what a server does with one request
STEPS = st.sampled_from([
    "answer", "change", "break", "break", "disregard If-Range", "disregard Range", "send less",
    "shift", "refuse the range", "lose the tag", "tell another total",
])  # fmt: skip


class Server:
    """A server of one file that it may change, and that follows RFC 9110 more or less."""

    def __init__(self, steps: list[str], cuts: list[int]) -> None:
        self.steps, self.cuts = steps, cuts
        self.version = 0
        self.content = b""
        self.change()

    def change(self) -> None:
        """Have another file of about the same size."""
        self.version += 1
        self.content = bytes((self.version * 7 + number) % 251 for number in range(200))
        self.content = self.content[: 200 - self.version % 3]

    def __call__(self, request: ReceivedRequest) -> Answer:
        """Answer *request* as the next step says."""
        step = self.steps.pop(0) if self.steps else "answer"
        if step == "change":
            self.change()
        tag, total = f'"{self.version}"', len(self.content)
        cut = self.cuts.pop(0) if step in {"break", "send less"} and self.cuts else total
        asked = request.headers.get("Range")
        start = int(re.fullmatch("bytes=([0-9]+)-", asked)[1]) if asked else 0  # type: ignore[index]
        same = request.headers.get("If-Range") == tag
        if step == "disregard Range" or not (same or step == "disregard If-Range"):
            start = 0
        if start and (step == "refuse the range" or start >= total):
            return Answer(416, headers={"Content-Range": f"bytes */{total}"})
        if start and step == "shift":
            start -= 1
        end = max(start + 1, min(total, cut)) if start and step == "send less" else total
        body = self.content[start:end]
        headers = {"ETag": tag, "Content-Length": str(len(body))}
        if start:
            shown = total + 1 if step == "tell another total" else total
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{shown}"
        if step == "lose the tag":
            del headers["ETag"]
        status = 206 if start else 200
        if step == "break":
            part = body[: min(cut, len(body) - 1)]
            return Answer(status, headers=headers, body=part, exception=ConnectionResetError)
        return Answer(status, headers=headers, body=body)


@given(
    steps=st.lists(STEPS, max_size=12),
    cuts=st.lists(st.integers(0, 199), max_size=12),
    attempts=st.integers(1, 3),
)
@examples(30)
async def test_a_download_gives_a_file_that_was_there(
    steps: list[str], cuts: list[int], attempts: int
) -> None:
    """Parts of two files are never put together, over any number of downloads."""
    mock = MockConnector()
    server = Server(steps, cuts)
    mock.get("http://files.test/", answer=server)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        async with ClientSession(connector=mock) as session:
            while True:
                try:
                    await download(
                        session, "http://files.test/", path, attempts=attempts, backoff=0
                    )
                    break
                except ClientPayloadError:
                    assert not path.exists()
        assert path.read_bytes() == server.content
        assert os.listdir(directory) == ["file"]
