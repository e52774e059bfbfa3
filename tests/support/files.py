"""A file on a server that answers requests for parts of it, as a route of a mock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from anyhttp.testing import Answer, ReceivedRequest

CONTENT = bytes(range(256)) * 4


class RemoteFile:
    """Answers requests for *content*, whole or from a byte on (:rfc:`9110#section-14`).

    :param tag: the entity tag; ``None`` for none
    :param breaks: for each request, after how many bytes the connection breaks; ``None``, and
        beyond the last of them: it does not
    """

    def __init__(
        self,
        content: bytes = CONTENT,
        *,
        tag: str | None = '"1"',
        headers: Mapping[str, str] | None = None,
        breaks: Iterable[int | None] = (),
    ) -> None:
        self.content = content
        self.tag = tag
        self.headers = dict(headers or {})
        self.breaks: list[int | None] = list(breaks)
        #: what each request has asked for: ``"bytes=5-"``, or ``""`` for the whole file
        self.asked: list[str] = []

    def __call__(self, request: ReceivedRequest) -> Answer:
        """Answer *request*."""
        asked = request.headers.get("Range", "")
        self.asked.append(asked)
        assert request.headers.getall("Accept-Encoding") == ["identity"]
        headers = dict(self.headers)
        if self.tag is not None:
            headers["ETag"] = self.tag
        start = 0
        if asked and request.headers["If-Range"] in {self.tag, headers.get("Last-Modified")}:
            start = int(re.fullmatch(r"bytes=([0-9]+)-", asked)[1])  # type: ignore[index]
            if start >= len(self.content):
                return Answer(416, headers={"Content-Range": f"bytes */{len(self.content)}"})
            total = len(self.content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        body = self.content[start:]
        headers["Content-Length"] = str(len(body))
        end = self.breaks.pop(0) if self.breaks else None
        if end is None:
            return Answer(206 if start else 200, headers=headers, body=body)
        return Answer(
            206 if start else 200, headers=headers, body=body[:end], exception=ConnectionResetError
        )
