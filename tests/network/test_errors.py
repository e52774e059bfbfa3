"""The names and numbers of what goes wrong with a connection."""

from __future__ import annotations

import errno
import os
import ssl

import anyio
import pytest

from anyhttp import ClientConnectionError, ClientConnectionResetError, ClientOSError
from anyhttp._network.errors import socket_errors

#: Causes of a failure, and the number that the error has.
CAUSES: dict[str, tuple[BaseException | None, int]] = {
    "a number": (OSError(errno.ENETDOWN, "down"), errno.ENETDOWN),
    "no cause": (None, errno.ECONNRESET),
    "a broken pipe": (BrokenPipeError(), errno.EPIPE),
    "a reset": (ConnectionResetError("Connection lost"), errno.ECONNRESET),
    "an abort": (ConnectionAbortedError("SSL handshake"), errno.ECONNABORTED),
    "a timeout": (TimeoutError("slow"), errno.ETIMEDOUT),
    "TLS": (ssl.SSLError(ssl.SSL_ERROR_SSL, "odd"), ssl.SSL_ERROR_SSL),
    "anything": (OSError("odd"), errno.EIO),
}


@pytest.mark.parametrize("kind", CAUSES)
def test_each_error_of_a_connection_has_a_number(kind: str) -> None:
    """Event loops raise some without one; a program looks at ``errno`` all the same."""
    cause, number = CAUSES[kind]
    broken = anyio.BrokenResourceError()
    broken.__cause__ = cause
    error = socket_errors(broken)
    assert isinstance(error, ClientOSError)
    assert error.errno == number
    text = str(cause.args[-1]) if cause is not None and cause.args else os.strerror(number)
    assert error.strerror == text


def test_a_connection_that_was_closed_here() -> None:
    """It counts as reset, as in aiohttp, and has that number."""
    error = socket_errors(anyio.ClosedResourceError())
    assert isinstance(error, ClientConnectionResetError)
    assert error.errno == errno.ECONNRESET


def test_a_connection_that_another_task_uses() -> None:
    """The operating system has no number for it."""
    error = socket_errors(anyio.BusyResourceError("reading from"))
    assert type(error) is ClientConnectionError
    assert "another task" in str(error)
