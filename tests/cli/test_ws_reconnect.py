"""``anyhttp ws --reconnect``."""

from __future__ import annotations

from io import FileIO

import anyio
import pytest

from tests.support.command import BACKENDS, Talk
from tests.support.peer import CLOSE, CUT, Step
from tests.support.websocket import TEXT, Accept, CloseWith, Frame, close, frame

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli import _ws
from anyhttp._cli._commands import run
from anyhttp._cli._lines import Lines


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between connections so short that they say 0.0 s."""
    monkeypatch.setattr(_ws, "PAUSES", (0.01, 60.0))


AGAIN = "; connecting again in 0.0 s\n"
BYE: Step = (CloseWith(1000), CLOSE)


def opened(*then: bytes) -> Step:
    """The handshake, and frames after it."""
    return (b"GET / ", Accept(b"".join(then)))


@pytest.mark.usefixtures("hurried")
def test_a_lost_connection_is_made_again(talk: Talk) -> None:
    """``--reconnect`` says so on stderr; the status is that of the last connection."""
    lost = [opened(frame(TEXT, b"one")), CUT]
    last = [opened(frame(TEXT, b"two") + close(1000)), BYE]
    status, out, err = talk(lost, "--reconnect", then=[lost, last])
    assert (status, out) == (0, b"one\none\ntwo\n")
    assert err.count(AGAIN) == err.count("the connection was lost") == err.count("\n") == 2


@pytest.mark.usefixtures("hurried")
def test_lines_wait_for_a_connection(talk: Talk) -> None:
    """None is dropped while the server is busy; they come in order."""
    busy: list[Step] = [
        (b"GET / ", b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        CLOSE,
    ]
    steps = [opened(), (Frame(TEXT, b"one"), b""), (Frame(TEXT, b"two"), close(1000)), BYE]
    status, out, err = talk(busy, "--reconnect", then=[steps], lines=b"one\ntwo\n")
    assert (status, out) == (0, b"")
    assert err == f"anyhttp: the WebSocket was not opened: Invalid response status (503){AGAIN}"


async def test_a_line_stays_until_it_has_been_sent(typed: FileIO) -> None:
    """Who is cancelled while it waits or sends leaves the line to the next."""
    lines = Lines()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lines.read)
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope)
            await lines.next()
        assert scope.cancelled_caught
        typed.write(b"one\ntwo\n")
        assert [await lines.next(), await lines.next()] == ["one", "one"]
        lines.forget()
        assert await lines.next() == "two"
        lines.forget()
        typed.close()
        assert [await lines.next(), await lines.next()] == [None, None]


async def cancel(scope: anyio.CancelScope) -> None:
    """Cancel *scope* from another task."""
    scope.cancel()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("code", [1000, 1001, 1008])
def test_a_server_that_wants_no_more_is_left_alone(talk: Talk, code: int) -> None:
    """After a normal close, or one that the next connection would meet again, there is no other."""
    status, _, err = talk([opened(close(code)), (CloseWith(code), CLOSE)], "--reconnect")
    assert status == (code == 1008)
    assert AGAIN not in err


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("backend", BACKENDS)
def test_failures_in_a_row_have_an_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """The last one is the error of the command."""
    monkeypatch.setattr(_ws, "ATTEMPTS", 3)
    assert run(["ws", "127.0.0.1:1", "--reconnect", "--backend", backend]) == 1
    err = capfd.readouterr().err
    assert err.count(AGAIN) == 2
    assert err.count("cannot connect") == err.count("\n") == 3
