"""The states of a WebSocket, and how it ends, apart from any connection."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import anyio
import pytest

from anyhttp._websocket import Lifecycle, WSState

DOCS = Path(__file__).parent.parent.parent / "docs"

OPEN, PEER_CLOSED, CLOSING, DRAINING, CLOSED = WSState

#: How each state is reached from an open WebSocket.
WAYS = {
    OPEN: [],
    PEER_CLOSED: [PEER_CLOSED],
    CLOSING: [CLOSING],
    DRAINING: [DRAINING],
    CLOSED: [CLOSED],
}


def reached(state: WSState, closed: list[str] | None = None) -> Lifecycle:
    """Return a life in *state*; what it closes is noted in *closed*."""
    note = [] if closed is None else closed
    life = Lifecycle(lambda: note.append("connection"), [])
    life.on_end = lambda: note.append("heartbeat")
    for step in WAYS[state]:
        life.move(step)
    return life


@pytest.mark.parametrize(("before", "to"), list(product(WSState, WSState)))
def test_only_the_moves_of_the_table_are_made(before: WSState, to: WSState) -> None:
    """Each of the others is refused, and leaves the state as it was."""
    life = reached(before)
    if to in before.moves:
        life.move(to)
        assert life.state is to
    else:
        with pytest.raises(RuntimeError, match=f"from {before.name} to {to.name}"):
            life.move(to)
        assert life.state is before


def test_every_state_but_the_last_leads_to_closed() -> None:
    """Whatever happens, a WebSocket can end, and then nothing follows."""
    assert [CLOSED in state.moves for state in WSState] == [True, True, True, True, False]
    assert not CLOSED.moves


def test_the_table_in_the_documents_is_the_one_that_is_checked() -> None:
    """The guide shows each state with its meaning and the states that can follow."""
    rows = [
        f"| `{state.name}` | {state.value} | {', '.join(f'`{to.name}`' for to in state.moves)} |"
        for state in WSState
    ]
    table = "\n".join(["| state | meaning | can become |", "|---|---|---|", *rows])
    guide = (DOCS / "howto" / "websockets.md").read_text("utf-8")
    assert table.replace(" |  |", " | |") in guide


class TestEnd:
    @pytest.mark.parametrize("state", [OPEN, PEER_CLOSED, CLOSING])
    async def test_the_connection_is_closed_once(self, state: WSState) -> None:
        """With the heartbeat behind it; whoever waits for the end is woken."""
        done: list[str] = []
        life = reached(state, done)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(life.wait_over)
            tasks.start_soon(life.wait_over)
            await anyio.wait_all_tasks_blocked()
            life.end(1000)
            life.end(1000)
        assert done == ["connection", "heartbeat"]
        assert (life.state, life.close_code, life.exception) == (CLOSED, 1000, None)
        await life.wait_over()

    def test_an_open_one_that_fails_can_still_be_read(self) -> None:
        """What came before the failure is not lost; the state ends when that has been read."""
        life = reached(OPEN)
        life.end(1006, error := OSError())
        assert (life.state, life.close_code, life.exception) == (DRAINING, 1006, error)
        life.drained()
        assert life.state is CLOSED

    @pytest.mark.parametrize("state", [PEER_CLOSED, CLOSING])
    def test_one_that_is_ending_has_nothing_left_to_read(self, state: WSState) -> None:
        """Nothing comes behind CLOSE, and whoever closes does not want to receive."""
        life = reached(state)
        life.end(1006, error := OSError())
        assert (life.state, life.close_code, life.exception) == (CLOSED, 1006, error)

    def test_a_code_tells_more_than_that_the_connection_ended(self) -> None:
        """Found in what was read afterwards, or sent when the connection broke."""
        life = reached(OPEN)
        life.end(1006, first := OSError())
        life.end(1000)
        assert (life.state, life.close_code, life.exception) == (CLOSED, 1000, first)
        life.end(1002, second := ValueError())
        assert (life.close_code, life.exception) == (1002, second)
        life.end(1006, OSError())
        assert (life.close_code, life.exception) == (1002, second)

    def test_closing_may_report_back(self) -> None:
        """Closing the connection calls what the exchange has to call, which is this again."""
        life = Lifecycle(lambda: life.end(), [])
        life.end(1006, OSError())
        assert life.state is DRAINING
