"""Settings of HTTP/2: what the client says of itself, and what a server may say."""

from __future__ import annotations

from struct import pack

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from anyhttp._http2 import ErrorCode, Http2Options
from anyhttp._http2.errors import ConnectionFault
from anyhttp._http2.settings import PeerSettings, own_settings
from tests.support.http2_probe import frames_of

TABLE, PUSH, EXCHANGES, WINDOW, FRAME, FIELDS, CONNECT = 1, 2, 3, 4, 5, 6, 8


def payload(*pairs: tuple[int, int]) -> bytes:
    """Return what a frame of settings holds."""
    return b"".join(pack(">HL", *pair) for pair in pairs)


def told(*pairs: tuple[int, int], first: bool = False) -> PeerSettings:
    """Return what is known of a server that has sent these."""
    peer = PeerSettings()
    peer.take(payload(*pairs), first=first)
    return peer


class TestOwn:
    def test_each_option_is_told(self) -> None:
        """RFC 9113 §6.5.2, each by its number; and no response may be pushed."""
        options = Http2Options(
            stream_window=70_001,
            connection_window=100_000,
            max_frame_size=20_000,
            max_header_list_size=30_000,
            header_table_size=5000,
        )
        settings, window = frames_of(own_settings(options))
        assert isinstance(settings, SettingsFrame)
        assert (settings.stream_id, set(settings.flags)) == (0, set())
        assert settings.settings == {
            TABLE: 5000, PUSH: 0, WINDOW: 70_001, FRAME: 20_000, FIELDS: 30_000
        }  # fmt: skip
        assert isinstance(window, WindowUpdateFrame)
        assert (window.stream_id, window.window_increment) == (0, 100_000 - 65_535)

    @pytest.mark.parametrize("more", [0, 1])
    def test_a_window_is_widened_by_what_it_is_larger(self, more: int) -> None:
        """RFC 9113 §6.9: an increment of nothing is an error."""
        _, *others = frames_of(own_settings(Http2Options(connection_window=65_535 + more)))
        assert [getattr(each, "window_increment", None) for each in others] == [1] * more


class TestOfAServer:
    def test_what_holds_before_it_has_said_anything(self) -> None:
        """RFC 9113 §6.5.2: the initial values; of requests, as many as most servers allow."""
        peer = PeerSettings()
        assert (peer.window, peer.frame_size, peer.max_exchanges) == (65_535, 16_384, 100)
        assert peer.allows_connect_protocol is False
        assert peer.table_sizes is None

    def test_each_is_taken(self) -> None:
        """Also several in one frame, and unknown ones among them."""
        peer = told(
            (99, 2**32 - 1), (EXCHANGES, 7), (WINDOW, 1000), (FRAME, 20_000), (CONNECT, 1),
            (PUSH, 0), (FIELDS, 10), (TABLE, 100),
        )  # fmt: skip
        assert (peer.window, peer.frame_size, peer.max_exchanges) == (1000, 20_000, 7)
        assert peer.allows_connect_protocol is True
        assert peer.table_sizes == (100, 100)

    def test_without_a_limit_in_the_first_frame_there_is_none(self) -> None:
        """RFC 9113 §6.5.2, MAX_CONCURRENT_STREAMS; later frames leave it as it is."""
        peer = told((WINDOW, 1), first=True)
        assert peer.max_exchanges == 2**31 - 1
        peer.take(payload((EXCHANGES, 3)), first=False)
        peer.take(payload((WINDOW, 2)), first=False)
        assert peer.max_exchanges == 3
        assert told((EXCHANGES, 5), first=True).max_exchanges == 5

    @pytest.mark.parametrize("value", [2**14, 2**24 - 1])
    def test_the_sizes_of_frames_that_are_allowed(self, value: int) -> None:
        """RFC 9113 §6.5.2, MAX_FRAME_SIZE: the smallest and the largest."""
        assert told((FRAME, value)).frame_size == value

    @pytest.mark.parametrize("value", [0, 2**31 - 1])
    def test_the_windows_that_are_allowed(self, value: int) -> None:
        """RFC 9113 §6.5.2, INITIAL_WINDOW_SIZE: the smallest and the largest."""
        assert told((WINDOW, value)).window == value

    @pytest.mark.parametrize(
        ("number", "value", "code"),
        [
            (FRAME, 2**14 - 1, ErrorCode.PROTOCOL_ERROR),
            (FRAME, 2**24, ErrorCode.PROTOCOL_ERROR),
            (WINDOW, 2**31, ErrorCode.FLOW_CONTROL_ERROR),
            (PUSH, 1, ErrorCode.PROTOCOL_ERROR),
            (CONNECT, 2, ErrorCode.PROTOCOL_ERROR),
        ],
    )
    def test_a_value_that_is_not_allowed_is_named(
        self, number: int, value: int, code: ErrorCode
    ) -> None:
        """With the error code that RFC 9113 §6.5.2 gives for it."""
        with pytest.raises(
            ConnectionFault, match=f"the setting [A-Z_]+ with the value {value}$"
        ) as caught:
            told((number, value))
        assert caught.value.code == code

    def test_extended_connect_is_not_taken_back(self) -> None:
        """RFC 8441 §3: 0 after 1 is an error; either value again, or 1 after 0, is none."""
        peer = told((CONNECT, 0), (CONNECT, 0))
        assert peer.allows_connect_protocol is False
        peer.take(payload((CONNECT, 1), (CONNECT, 1)), first=False)
        assert peer.allows_connect_protocol is True
        with pytest.raises(ConnectionFault) as caught:
            peer.take(payload((CONNECT, 0)), first=False)
        assert caught.value.code == ErrorCode.PROTOCOL_ERROR

    def test_the_smallest_and_the_last_size_of_the_table_are_kept(self) -> None:
        """RFC 7541 §4.2: both are told in the next head, whatever came between them."""
        assert told((TABLE, 100), (TABLE, 50), (TABLE, 200), (TABLE, 150)).table_sizes == (50, 150)
        peer = told((TABLE, 300))
        peer.take(payload((TABLE, 400)), first=False)
        assert peer.table_sizes == (300, 400)

    @pytest.mark.parametrize("size", [1, 5, 7])
    def test_half_a_setting_is_an_error_of_the_size(self, size: int) -> None:
        """RFC 9113 §6.5: six bytes each; nothing of such a frame is taken."""
        peer = PeerSettings()
        with pytest.raises(ConnectionFault) as caught:
            peer.take(payload((EXCHANGES, 3), (EXCHANGES, 3))[:size], first=False)
        assert caught.value.code == ErrorCode.FRAME_SIZE_ERROR
        assert peer.max_exchanges == 100
