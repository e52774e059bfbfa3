"""What can grow in this package, and what bounds it.

There are three kinds of things, and :func:`found` finds them in the source: constants that are
limits by their names, caches of functions, and containers that are made empty and filled later.
Each is listed below with the test that meets its limit, or with the reason why it needs none.  What
is new and not listed makes a test fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ("BOUNDED_BY", "NEEDS_NO_TEST", "found")

PACKAGE: Final = Path(__file__).parents[2] / "anyhttp"

_LIMIT: Final = re.compile(
    r"MAX|MOST|LONGEST|LARGEST|KEPT|QUOTA|SIZE|LENGTH|NUMBER|BYTES|ALLOWED|SAVED|LIMIT|AHEAD|OWED"
    r"|SAMPLE|BODY|GROWTH|SHOWN|OVER"
)
_EMPTY: Final = {"dict", "list", "set", "deque", "OrderedDict", "bytearray", "WeakSet",
                 "WeakKeyDictionary", "defaultdict", "GrowingBytes"}  # fmt: skip

#: Rooms for tests of programs and for the command: what is in them lives as long as a test, or as
#: the command.  Limits in them that others can meet are listed all the same.
_OF_TOOLS: Final = ("testing", "_cli", "as_aiohttp")


def found() -> Iterator[str]:
    """Yield the names of what can grow, such as ``resolver:MAX_LITERAL``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from (f"{module}:{name}" for name in _limits_in(tree, ""))
        if not module.startswith(_OF_TOOLS):
            names = [*_caches_in(tree), *_containers_in(tree)]
            yield from (f"{module}:{name}" for name in dict.fromkeys(names))


def _limits_in(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    """Yield the constants that are limits by their names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _limits_in(node, f"{prefix}{node.name}.")
        target, value = _assigned(node)
        if (
            isinstance(target, ast.Name)
            and target.id.strip("_").isupper()
            and _LIMIT.search(target.id)
            and value is not None
            and _is_number(value)
        ):
            yield prefix + target.id


def _assigned(node: ast.AST) -> tuple[ast.expr | None, ast.expr | None]:
    if isinstance(node, ast.AnnAssign):
        return node.target, node.value
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.targets[0], node.value
    return None, None


def _is_number(value: ast.expr) -> bool:
    """Whether it is a number, or computed from numbers."""
    if isinstance(value, ast.BinOp):
        return _is_number(value.left) and _is_number(value.right)
    if isinstance(value, ast.Name):
        return value.id.strip("_").isupper()
    return isinstance(value, ast.Constant) and type(value.value) in {int, float}


def _caches_in(tree: ast.Module) -> Iterator[str]:
    """Yield the functions whose results are kept."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(called, ast.Name) and called.id in {"cache", "lru_cache"}:
                    yield f"{node.name}()"
        target, value = _assigned(node)
        if (
            isinstance(target, ast.Name)
            and isinstance(value, ast.Call)
            and ast.unparse(value.func).startswith(("lru_cache", "cache("))
        ):
            yield f"{target.id}()"


def _containers_in(tree: ast.Module) -> Iterator[str]:
    """Yield the attributes, and the variables of the module, that begin as empty containers."""
    for node in ast.walk(tree):
        target, value = _assigned(node)
        if (
            isinstance(target, ast.Attribute)
            and isinstance(target.value, ast.Name)
            and target.value.id == "self"
            and value is not None
            and _is_empty(value)
        ):
            yield target.attr
    for node in tree.body:
        target, value = _assigned(node)
        if isinstance(target, ast.Name) and value is not None and _is_empty(value):
            yield target.id


def _is_empty(value: ast.expr) -> bool:
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List):
        return not value.elts
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in _EMPTY
        and not value.args
    )


_LIMITS: Final = "tests/growth/test_limits.py::"
_HTTP2: Final = "tests/growth/test_limits_http2.py::"
_ENGINES: Final = "tests/properties/test_engines.py::test_each_limit_is_met_exactly"
_FLOOD: Final = "tests/network/test_asyncio_stream.py::test_a_peer_that_floods_has_to_wait"
_IDLE: Final = "tests/connector/test_connectors.py::test_idle_connections_count"
_DESTINATIONS: Final = _LIMITS + "test_long_urls_are_not_remembered"

#: The test that meets a limit, or shows that a container keeps nothing that is over.
BOUNDED_BY: Final[dict[str, str]] = {
    # content codings
    "_codings.compression:MAX_CODINGS": _LIMITS + "test_codings",
    "_codings.compression:MAX_WITHOUT_OUTPUT": (
        "tests/codings/test_compression.py::test_what_decodes_to_nothing_is_refused"
    ),
    "_codings.compression:MAX_EMPTY_MEMBERS": _LIMITS + "test_members_without_content",
    "_codings.compression:MAX_ZSTD_WINDOW": "tests/codings/test_compression.py::test_no_more",
    # texts of peers
    "_common.urls:MAX_HOST": _LIMITS + "test_hosts",
    "_common.urls:MAX_SHOWN": _LIMITS + "test_invalid_urls_in_messages",
    "_event_stream.events:MOST_DIGITS": _LIMITS + "test_digits_of_retry",
    "_event_stream.events:_data": ("tests/event_stream/test_events.py::test_an_event_has_a_bound"),
    "_event_stream.lines:SHOWN": (
        "tests/event_stream/test_lines.py::test_the_beginning_of_a_long_line_is_shown"
    ),
    "_event_stream.lines:_complete": _LIMITS + "test_lines_of_a_text",
    "_headers.content_type:MAX_CHARSET": _LIMITS + "test_names_of_charsets",
    "_headers.content_type:_Memo.SIZE": _LIMITS + "test_a_memory_has_a_limit",
    "_headers.content_type:_Memo.LENGTH": _LIMITS + "test_what_is_long_is_not_remembered",
    "_headers.content_type:_codec_name()": _LIMITS + "test_names_of_charsets",
    "_headers.links:_MAX_TEXT": _LIMITS + "test_links",
    "_headers.retry_after:_LONGEST_DATE": _LIMITS + "test_dates_of_retry_after",
    "_headers.set_cookie:MAX_COOKIES_PER_RESPONSE": _LIMITS + "test_cookies_of_a_response",
    "_headers.set_cookie:MAX_PAIR_OCTETS": _LIMITS + "test_the_size_of_a_cookie",
    "_headers.set_cookie:MAX_ATTRIBUTE_OCTETS": (
        "tests/headers/test_set_cookie.py::test_attributes_are_bounded"
    ),
    "_headers.set_cookie:MAX_ATTRIBUTES": (
        "tests/headers/test_set_cookie.py::test_attributes_are_bounded"
    ),
    "_headers.set_cookie:_attribute()": (
        "tests/headers/test_set_cookie.py::test_attributes_are_bounded"
    ),
    "_targets.destination:LONGEST_KEPT": _DESTINATIONS,
    "_targets.destination:_known_destination()": _DESTINATIONS,
    "_targets.urls:MAX_KNOWN_HOST": _LIMITS + "test_long_hosts_are_not_remembered",
    "_targets.urls:_known_host_error()": _LIMITS + "test_long_hosts_are_not_remembered",
    # HTTP/1.1
    "_http1.engine:KNOWN_SIZE": _LIMITS + "test_a_long_head_is_not_remembered",
    "_http1.engine:pieces": (
        "tests/client_reqrep/test_response.py::test_read_bufsize_bounds_what_is_buffered"
    ),
    "_http1.engine:chunk_ends": _LIMITS + "test_ends_of_chunks",
    "_http1.exchange:DRAIN_BYTES": "tests/wire/test_limits.py::test_a_large_body_is_not_drained",
    "_http1.exchange:MAX_INFORMATIONAL": (
        "tests/http1/test_exchange.py::test_informational_heads_are_bounded"
    ),
    "_http1.heads:_Names.LENGTH": _LIMITS + "test_what_is_long_is_not_remembered",
    "_http1.heads:_Names.NUMBER": _LIMITS + "test_a_memory_has_a_limit",
    "_http1.heads:raw": _ENGINES,
    "_http1.lines:begun": _ENGINES,
    "_http1.lines:_folds": _ENGINES,
    "_http1.lines:fields": _LIMITS + "test_fields",
    "_http1.response_framing:_says_keep()": _LIMITS
    + "test_long_options_of_connections_are_not_remembered",
    "_http1.response_framing:_read_idle_seconds()": _LIMITS
    + "test_long_options_of_connections_are_not_remembered",
    "_http1.response_grammar:_KEPT_SIZE": _LIMITS + "test_what_is_long_is_not_remembered",
    "_http1.response_grammar:_KEPT_NUMBER": _LIMITS + "test_a_memory_has_a_limit",
    # HTTP/2
    "_http2.compression:TABLE_SIZE": _HTTP2 + "test_the_table_for_requests",
    "_http2.compression:OVERHEAD": _HTTP2 + "test_the_table_for_requests",
    "_http2.compression:OVERSIZE": (
        "tests/http2/test_compression.py::test_a_list_that_is_too_large_is_not_decoded_on"
    ),
    "_http2.compression:NUMBER_SIZE": (
        "tests/http2/test_compression.py::test_a_long_number_is_refused"
    ),
    "_http2.compression:MAX_VALUES": _HTTP2 + "test_values_in_the_table_for_requests",
    "_http2.compression:MAX_NAMES": _HTTP2 + "test_names_in_the_table_for_requests",
    "_http2.compression:_MAX_STEPS": _HTTP2 + "test_steps_of_the_huffman_code",
    "_http2.compression:_steps": _HTTP2 + "test_steps_of_the_huffman_code",
    "_http2.compression:_entries": _HTTP2 + "test_the_table_for_requests",
    "_http2.compression:_numbers": _HTTP2 + "test_the_table_for_requests",
    "_http2.compression:_names": _HTTP2 + "test_the_table_for_requests",
    "_http2.compression:_values": _HTTP2 + "test_names_in_the_table_for_requests",
    "_http2.core:MAX_LEFT": (
        "tests/http2/test_extended_connect.py::test_what_was_left_does_not_take_all_room"
    ),
    "_http2.core:_left": (
        "tests/http2/test_extended_connect.py::test_what_was_left_does_not_take_all_room"
    ),
    "_http2.core:GROWTH": (
        "tests/http2/test_core.py::test_the_window_of_a_body_that_is_waited_for_grows"
    ),
    "_http2.fields:_KEPT_HEADS": _LIMITS + "test_a_memory_has_a_limit",
    "_http2.fields:_KEPT_FIELDS": _HTTP2 + "test_heads_of_many_fields_are_not_remembered",
    "_http2.fields:_known": _LIMITS + "test_a_memory_has_a_limit",
    "_http2.frames:_begun": (
        "tests/http2/test_hostile_floods.py::test_half_a_frame_is_all_that_waits"
    ),
    "_http2.guards:MAX_CONTINUATIONS": _HTTP2 + "test_frames_of_a_head",
    "_http2.guards:_ALLOWED": _HTTP2 + "test_frames_of_no_use",
    "_http2.guards:_SAVED": _HTTP2 + "test_frames_that_are_forgiven_before_they_come",
    "_http2.heads:_KEPT_HEADS": _HTTP2 + "test_heads_that_are_remembered",
    "_http2.heads:_KEPT_SIZE": _HTTP2 + "test_long_heads_are_not_remembered",
    "_http2.heads:_known": _HTTP2 + "test_heads_that_are_remembered",
    "_http2.shared_io:MAX_OWED": (
        "tests/http2/test_hostile_end_to_end.py::test_a_server_that_reads_nothing_is_owed_little"
    ),
    "_http2.state:MAX_INFORMATIONAL": _HTTP2 + "test_informational_heads",
    "_http2.state:MAX_INFORMATIONAL_SIZE": _HTTP2 + "test_the_size_of_informational_heads",
    "_http2.state:JOINED_SIZE": (
        "tests/http2/test_hostile_floods.py::test_data_of_one_byte_takes_little_more"
    ),
    "_http2.state:pieces": _HTTP2 + "test_the_window_of_a_body_that_nobody_reads",
    "_http2.state:_later_heads": _HTTP2 + "test_informational_heads",
    "_http2.streams:_KEPT_RESETS": _HTTP2 + "test_numbers_of_exchanges_that_were_reset",
    "_http2.streams:_resets": _HTTP2 + "test_numbers_of_exchanges_that_were_reset",
    "_http2.streams:open": (
        "tests/http2/test_hostile_floods.py::test_streams_that_are_over_are_forgotten"
    ),
    # WebSockets
    "_websocket.deflate:MAX_STREAMS": _LIMITS + "test_streams_of_deflate",
    "_websocket.frame_writer:MAX_CONTROL": _LIMITS + "test_control_frames",
    "_websocket.frames:MAX_SKIPPED": (
        "tests/websocket/test_frames.py::"
        "test_the_rest_of_a_bomb_is_discarded_in_steps_and_up_to_a_limit"
    ),
    "_websocket.deflate:_window": _LIMITS + "test_the_window_of_deflate",
    "_websocket.receiver:READ_AHEAD": "tests/test_client_ws.py::test_a_flood_is_held_back",
    "_websocket.sender:MAX_PONGS": _LIMITS + "test_pings_that_wait_for_an_answer",
    "_websocket.sender:pongs": _LIMITS + "test_pings_that_wait_for_an_answer",
    # connections
    "_network.tls_sessions:MOST_OF_ONE_PEER": (
        "tests/network/test_tls_sessions.py::test_how_many_are_kept"
    ),
    "_network.tls_sessions:MOST_PEERS": (
        "tests/network/test_tls_sessions.py::test_how_many_are_kept"
    ),
    "_network.tls_sessions:sessions": (
        "tests/network/test_tls_sessions.py::test_how_many_are_kept"
    ),
    "_network.tls_sessions:_peers": "tests/network/test_tls_sessions.py::test_how_many_are_kept",
    "_network.asyncio_stream:READ_AHEAD": _FLOOD,
    "_network.asyncio_stream:_pieces": _FLOOD,
    "_httpx.routes:_MOST": "tests/httpx/test_edges.py::test_many_origins",
    "_httpx.routes:_known": "tests/httpx/test_edges.py::test_many_origins",
    "client_reqrep._prepared:_MAX_HOSTS": _LIMITS + "test_a_memory_has_a_limit",
    "client_reqrep._prepared:_by_host": _LIMITS + "test_a_memory_has_a_limit",
    "connector._idle:_idle": _IDLE,
    "connector._idle:_stacks": _IDLE,
    "connector._multiplexed:MOST_ORIGINS": (
        "tests/connector/test_multiplexed_ends.py::test_origins_are_not_remembered_for_ever"
    ),
    "connector._multiplexed:_origins": (
        "tests/connector/test_multiplexed_ends.py::test_origins_are_not_remembered_for_ever"
    ),
    "connector._slots:_hosts": (
        "tests/connector/test_connectors.py::test_limiters_go_with_their_last_user"
    ),
    "connector._tunnel:REFUSAL_BYTES": "tests/wire/test_proxies.py::test_a_refusal_can_be_read",
    "resolver:MAX_LITERAL": _LIMITS + "test_literal_addresses",
    "resolver:_family_of()": _LIMITS + "test_literal_addresses",
    "resolver:MAX_THREADS": "tests/test_resolver.py::test_files_can_be_read_meanwhile",
    "resolver:_answers": _LIMITS + "test_answers_of_the_dns",
    "_common.values:FieldsMemo.SIZE": _LIMITS + "test_a_memory_has_a_limit",
    # requests
    "client._attempt:MAX_REFUSALS": (
        "tests/connector/test_multiplexed_requests.py::test_a_server_that_always_refuses"
    ),
    "client._attempt:MAX_REFUSALS_IN_VAIN": (
        "tests/connector/test_multiplexed_requests.py::test_a_server_that_always_refuses"
    ),
    "client._event_source:LONGEST_ID": _LIMITS + "test_ids_of_events",
    "client._middleware_chain:_responses": (
        "tests/client/test_middlewares.py::test_of_many_attempts_nothing_is_kept"
    ),
    "client_middleware_digest_auth:MAX_DOMAIN": _LIMITS + "test_the_protection_space_of_digest",
    "client_middleware_digest_auth:_space": _LIMITS + "test_the_protection_space_of_digest",
    "client_middleware_digest_auth:_challenges": _LIMITS + "test_challenges_of_digest",
    "client_reqrep._response:ERROR_BODY": (
        "tests/wire/test_error_bodies.py::test_the_error_has_its_body"
    ),
    "cookiejar._jar:MAX_COOKIES_PER_REQUEST": (
        "tests/cookiejar/test_jar.py::test_a_request_carries_at_most_150_cookies"
    ),
    "cookiejar._jar:MAX_HEADER_OCTETS": (
        "tests/cookiejar/test_jar.py::test_a_cookie_header_has_at_most_8190_octets"
    ),
    "cookiejar._jar:_domains()": _LIMITS + "test_long_hosts_are_not_remembered",
    "cookiejar._store:MAX_COOKIES_PER_DOMAIN": _LIMITS + "test_cookies_of_a_domain",
    "cookiejar._store:DOMAIN_QUOTA": _LIMITS + "test_cookies_of_a_domain",
    "cookiejar._store:MAX_COOKIES": "tests/cookiejar/test_jar.py::test_the_whole_jar_is_bounded",
    "cookiejar._store:TOTAL_QUOTA": "tests/cookiejar/test_jar.py::test_the_whole_jar_is_bounded",
    "cookiejar._store:sites": "tests/cookiejar/test_jar.py::test_the_whole_jar_is_bounded",
    "cookiejar._store:secure": "tests/cookiejar/test_jar.py::test_the_whole_jar_is_bounded",
    "cookiejar._store:_found": (
        "tests/cookiejar/test_jar.py::test_many_secure_cookies_of_a_name_cost_no_more_than_few"
    ),
    "cookiejar._store:_expiries": _LIMITS + "test_times_when_cookies_expire",
    "middlewares._bearer_token:MAX_SHOWN": _LIMITS + "test_descriptions_of_refused_tokens",
    "middlewares._rate_limit:MAX_HOSTS": "tests/middlewares/test_rate_limit.py::test_many_hosts",
    "middlewares._rate_limit:_found": "tests/middlewares/test_rate_limit.py::test_many_hosts",
    "multipart._reader:MAX_CHARSET": (
        "tests/multipart/test_reader.py::test_the_name_of_a_charset_has_a_bound"
    ),
    "multipart._reader:EPILOGUE_BYTES": (
        "tests/multipart/test_reader.py::test_an_endless_epilogue_is_not_waited_for"
    ),
    "multipart._scanner:_MAX_PADDING": _LIMITS + "test_blanks_behind_a_boundary",
    "multipart._writer:MAX_BOUNDARY": (
        "tests/multipart/test_reader.py::test_what_cannot_be_a_boundary"
    ),
    "streams:MAX_CHUNK_ENDS": _LIMITS + "test_ends_of_chunks",
    "streams:DEFAULT_LIMIT": _LIMITS + "test_lines_of_a_stream",
    "streams:_buffer": (
        "tests/client_reqrep/test_response.py::test_read_bufsize_bounds_what_is_buffered"
    ),
    # files
    "_cli._arguments:LARGEST_PIPED": (
        "tests/cli/test_requests.py::test_what_can_be_read_only_once_has_a_limit"
    ),
    "_cli._file_names:_LONGEST": "tests/cli/test_many_downloads.py::test_a_name_is_harmless",
    "_cli._file_names:_LONGEST_SUFFIX": "tests/cli/test_many_downloads.py::test_a_name_is_harmless",
    "_downloads.notes:LONGEST": _LIMITS + "test_notes_of_a_download",
    "testing._har:MAX_FILE": _LIMITS + "test_files_of_cassettes",
    "testing._har:MAX_URL": _LIMITS + "test_urls_in_a_cassette",
    "testing._http1_server:_LONGEST_LINE": _LIMITS + "test_sizes_of_chunks_in_requests",
    "testing._replay:MAX_DECODED": (
        "tests/testing/test_recorder.py::test_a_bomb_is_written_as_it_was_sent"
    ),
}

#: Why there is nothing to test of a limit or a container, and of which ones that is so.
NEEDS_NO_TEST: Final[dict[str, tuple[str, ...]]] = {
    "the size of a step, or of what is done at once: it limits no sum": (
        "_cli._demo:MESSAGE_SIZE",
        "_cli._demo:UPLOAD_SIZE",
        "_downloads.transfer:_READ_SIZE",
        "_http1.exchange:MAX_DECODING_STEPS",
        "_http1.upload:GATHERED_BYTES",
        "_http1.upload:INLINE_BODY",
        "_http1.upload:LARGEST_PIECE",
        "_http1.upload:SENT_BYTES",
        "_http2.connection:MAX_POLLS",
        "_http2.tunnel:RECEIVE_SIZE",
        "_network.asyncio_stream:RECEIVE_SIZE",
        "_network.stream:RECEIVE_SIZE",
        "_network.tls_stream:RECEIVE_SIZE",
        "_network.trio_stream:RECEIVE_SIZE",
        "_websocket.frame_writer:KEYS_SIZE",
        "_websocket.frames:BYTES_IN_A_ROW",
        "_websocket.frames:MAX_SHORT",
        "client_reqrep._charset:SAMPLE",
        "payload._base:READ_SIZE",
        "payload._memory:TOO_LARGE_BYTES",
        "streams:CHECKPOINT_BYTES",
        "streams:READ_BYTES",
        "testing._har:READ_SIZE",
    ),
    "a number of the protocol": (
        "_common.http2_options:_LARGEST_FRAME",
        "_common.http2_options:_LARGEST_WINDOW",
        "_http2.compression:_RESIZED",
        "_http2.core:_LAST_NUMBER",
        "_http2.errors:ErrorCode.FRAME_SIZE_ERROR",
        "_http2.frames:HEADER_SIZE",
        "_http2.settings:LARGEST_WINDOW",
        "_http2.settings:_HEADER_TABLE_SIZE",
        "_http2.settings:_INITIAL_WINDOW_SIZE",
        "_http2.settings:_MAX_CONCURRENT_STREAMS",
        "_http2.settings:_MAX_FRAME_SIZE",
        "_http2.settings:_MAX_HEADER_LIST_SIZE",
        "_http2.streams:_LAST_NUMBER",
    ),
    "a time, or a number of tries": (
        "_network.tls_sessions:MOST_SECONDS",
        "client_reqrep._session_functions:ERROR_BODY_SECONDS",
        "connector._origin:MOST_FAILURES",
        "connector._origin:MOST_PATIENCE",
        "connector._origin:MOST_SILENCE",
    ),
    "a weight of frames: the sum of them has a limit that is tested": (
        "_http2.guards:DEAR_SIZE",
        "_http2.guards:_SENT_SIZE",
    ),
    "what messages of errors show of something": (
        "testing._answers:_SHOWN",
        "testing._asserts:_MOST",
        "testing._cassette:_SHOWN",
        "testing._matching:_MOST_DIFFERENCES",
    ),
    "of the command, or of the tools for tests, whose other side is the program itself": (
        "_cli._arguments:LARGEST_VALUE",
        "_cli._bars:LONGEST_BAR",
        "_cli._bench:LONGEST_BAR",
        "_cli._bench:LONGEST_WAIT",
        "_cli._bench_command:MOST_AT_A_TIME",
        "_cli._demo_server:HEAD_LIMIT",
        "_cli._figures:GROWTH",
        "_cli._figures:LONGEST",
        "_cli._sse:LONGEST_SILENCE",
        "_cli._terminal:LARGEST_PRETTY",
        "testing._memory:BUFFER_SIZE",
    ),
    "the same limit as of responses, and the same code": ("connector._tunnel:MAX_INFORMATIONAL",),
    "one entry for each module, class, event loop or backend that there is": (
        "_codings.compression:_brotli()",
        "_codings.compression:_zstd()",
        "_codings.compression:accept_encoding()",
        "_common.attrs_fields:_made",
        "_common.hooks:_own",
        "_http1.__init__:engine_class()",
        "_network.alpn:_LOCKS",
        "_network.sockets:_for_asyncio()",
        "_network.sockets:_for_trio()",
        "_network.trust:_read_for",
        "_network.trust:_unverified_context()",
        "_network.trust:_verified_context()",
        "_tasks.event_loop:_asyncio_checkpoints()",
        "_tasks.event_loop:_trio_alarm()",
        "_tasks.event_loop:_trio_lowlevel()",
        "_tasks.event_loop:_trio_waiter()",
        "_tasks.task_owner:_asyncio_tasks()",
        "_tasks.task_owner:_trio_tasks()",
        "_websocket.frame_writer:_apply_mask()",
        "payload._registry:_found",
    ),
    "a small cache by names that the program chooses, or by what is short by its grammar": (
        "_common.values:_are_for_once()",
        "_headers.block:_say_of_connection()",
        "_headers.fields:_is_field_name()",
        "_headers.fields:_speak_to_proxy()",
        "_headers.fields:checked_method()",
        "_http1.h11_engine:_request()",
        "_http1.response_grammar:read_plain_size()",
        "_http2.fields:_have_secrets()",
        "_httpx.outgoing:_places()",
        "resolver:_parsed_hosts()",
    ),
    "what the program adds itself": (
        "client._call_scope:replaced",
        "client_middlewares:_WATCHING",
        "connector._substitute:OPEN_BLOCKS",
        "connector._substitute:_process_blocks",
        "formdata:_fields",
        "multipart._writer:_parts",
        "payload._base:_pieces",
        "payload._registry:_first",
        "payload._registry:_last",
        "payload._registry:_normal",
        "tracing:_handlers",
    ),
    "one entry for each connection, exchange or task that is open now, removed when it ends": (
        "_http1.connection:_callbacks",
        "_http1.unread:_being_read",
        "_http1.upload:when_over",
        "_http2.connection:_pings",
        "_http2.connection:_senders",
        "_http2.connection:_streams",
        "_http2.core:_blocked",
        "_http2.core:_news",
        "_http2.shared_io:_sleepers",
        "_tasks.asyncio_tasks:_ends",
        "_tasks.pending_waits:_waits",
        "_tasks.shared_call:results",
        "_tasks.timeouts:_deadlines",
        "_tasks.trio_tasks:_ends",
        "_websocket.sender:_waiting",
        "client._session_scope:handshakes",
        "connector._origin:in_use",
        "connector._origin:leases",
        "connector._origin:openers",
        "connector._origin:queue",
        "connector._origin:with_room",
        "connector._pool:_closing",
        "connector._pool:_open",
        "connector._pool:_opening",
        "connector._pool:_pools",
        "connector._slots:_queue",
        "connector._slots:queue",
        "connector._sweeping:_alarms",
        "resolver:_queries",
    ),
    "what one call fills and hands over, from pieces whose sum has a limit": (
        "_common.growing_bytes:_kept",
        "_http1.upload:_gathered",
        "_network.stream:_unsent",
        "_network.tls_stream:_unencrypted",
        "_network.trio_stream:_unsent",
        "_websocket.frames:ready",
    ),
    "what the program sends and the server does not take: requests wait above a limit": (
        "_http2.shared_io:MAX_UNSENT",
        "_http2.shared_io:_unsent",
    ),
    "always empty": ("_http1.engine:_NO_ENDS", "_http1.engine:_NO_PIECES", "_http2.state:_NO_ENDS"),
}
