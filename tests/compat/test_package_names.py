"""Names that packages written for aiohttp use, although its documentation has no word of them.

The table "Names that packages use" in ``docs/compatibility.md`` says which package uses which.
"""

from __future__ import annotations

import pickle
from functools import partial
from importlib import import_module
from types import ModuleType

import attr
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.compat.comparison import compared, failure


def module_of(client: ModuleType, name: str) -> ModuleType:
    """Return a module of the package *client*."""
    return import_module(f"{client.__name__}.{name}")


# -- modules


@compared
async def test_errors_made_by_hand(client: ModuleType, base: URL) -> object:
    """They take what aiohttp's take, say the same, and are pickled."""
    errors = module_of(client, "http_exceptions")
    headers = CIMultiDict({"A": "b"})
    made = [
        errors.HttpProcessingError(),
        errors.HttpProcessingError(code=418, message="two\nlines", headers=headers),
        errors.BadHttpMessage("text", headers=headers),
        errors.HttpBadRequest("text"),
        errors.PayloadEncodingError("text"),
        errors.ContentEncodingError("text"),
        errors.TransferEncodingError("text"),
        errors.ContentLengthError("text"),
        errors.DecompressSizeError("text"),
        errors.InvalidHeader(b"a\xff"),
        errors.InvalidHeader("a"),
        errors.BadStatusLine("line"),
        errors.BadStatusLine(b"line"),
        errors.BadHttpMethod("line"),
        errors.BadHttpMethod("line", "error"),
        errors.InvalidURLError("text"),
    ]
    return [
        (
            [each.__name__ for each in type(error).__mro__],
            error.code,
            error.message,
            error.headers,
            error.args,
            str(error),
            repr(error),
            str(pickle.loads(pickle.dumps(error))),
            getattr(error, "line", None),
            getattr(error, "hdr", None),
        )
        for error in made
    ]


@compared
async def test_errors_need_their_arguments(client: ModuleType, base: URL) -> object:
    """A message is wanted, and the base takes no argument by position."""
    errors = module_of(client, "http_exceptions")
    return [
        await failure(errors.BadHttpMessage),
        await failure(errors.InvalidHeader),
        await failure(lambda: errors.HttpProcessingError("text")),
    ]


@compared
async def test_names_of_the_module_client(client: ModuleType, base: URL) -> object:
    """Libraries import some names from where aiohttp itself imports them."""
    place, reqrep = module_of(client, "client"), module_of(client, "client_reqrep")
    return (
        place.ClientWSTimeout is client.ClientWSTimeout,
        place.URL is URL,
        place.hdrs is client.hdrs,
        place.DEFAULT_TIMEOUT.total,
        reqrep.MappingProxyType.__name__,
        reqrep.ContentDisposition("attachment", {"a": "b"}, "file").filename,
    )


@compared
async def test_names_of_the_module_http(client: ModuleType, base: URL) -> object:
    """Phrases of statuses, and the messages that a WebSocket ends with."""
    place, websocket = module_of(client, "http"), module_of(client, "http_websocket")
    text = websocket.WSMessageTextBytes(client.WSMsgType.TEXT, b'{"a": 1}', "")
    return (
        {int(status): texts for status, texts in place.RESPONSES.items()},
        tuple(place.WS_CLOSED_MESSAGE),
        tuple(place.WS_CLOSING_MESSAGE),
        websocket.WS_CLOSED_MESSAGE is place.WS_CLOSED_MESSAGE,
        websocket.WS_CLOSING_MESSAGE is place.WS_CLOSING_MESSAGE,
        (text.type, text.data, text.extra, text.json()),
    )


@compared
async def test_a_url_without_its_credentials(client: ModuleType, base: URL) -> object:
    """They come apart from it."""
    strip = module_of(client, "helpers").strip_auth_from_url
    found = [
        strip(URL(f"http://{user_info}host:1/path?query#fragment"))
        for user_info in ("", "user@", "user:pass@", ":pass@", "%40:%3A@")
    ]
    return [(str(url), auth and tuple(auth)) for url, auth in found]


@compared
async def test_media_types_in_parts(client: ModuleType, base: URL) -> object:
    """All in lower case but for the values of parameters."""
    parse = module_of(client, "helpers").parse_mimetype
    parsed = [
        parse(text)
        for text in (
            "",
            "*",
            "text",
            "TEXT/HTML",
            "text/html; Charset=UTF-8; a=b",
            'application/vnd.api+json; charset="utf-8"',
            " application/rdap+json ;",
        )
    ]
    return [(each.type, each.subtype, each.suffix, dict(each.parameters)) for each in parsed]


@compared
async def test_a_class_with_headers_of_ones_own(client: ModuleType, base: URL) -> object:
    """The mixin tells what the headers of the class say of its body."""

    class Stored(module_of(client, "helpers").HeadersMixin):  # type: ignore[misc]  # a module
        def __init__(self, **headers: str) -> None:
            self._headers = CIMultiDictProxy(CIMultiDict(headers))

    stored = [
        Stored(),
        Stored(**{"Content-Type": "text/html; charset=latin-1", "Content-Length": "12"}),
        Stored(**{"Content-Type": "nothing"}),
    ]
    return [(each.content_type, each.charset, each.content_length) for each in stored]


@compared
async def test_a_timer_that_does_nothing(client: ModuleType, base: URL) -> object:
    """It can be entered, and never expires."""
    timer = module_of(client, "helpers").TimerNoop()
    with timer as entered:
        timer.assert_timeout()
    return entered is timer


@compared
async def test_what_stands_for_an_argument_that_is_left_out(
    client: ModuleType, base: URL
) -> object:
    """A wrapper passes it on, and gets the default."""
    sentinel = module_of(client, "helpers").sentinel
    async with client.ClientSession() as session:
        async with session.get(base / "json", timeout=sentinel) as response:
            return response.status


# -- attrs


@compared
async def test_time_limits_are_classes_of_attrs(client: ModuleType, base: URL) -> object:
    """Their fields, with defaults, and copies with changes."""
    results: list[object] = []
    for value, change in (
        (client.ClientTimeout(total=5), {"total": 1, "sock_read": 2}),
        (client.ClientWSTimeout(ws_close=5), {"ws_receive": 1}),
    ):
        changed = attr.evolve(value, **change)
        fields = attr.fields(type(value))
        results += [
            attr.has(type(value)),
            type(changed) is type(value),
            attr.asdict(changed),
            attr.astuple(value),
            list(attr.fields_dict(type(value))),
            [(field.name, field.default, field.init, field.repr) for field in fields],
            await failure(partial(attr.evolve, value, nothing=1)),
        ]
    results.append(attr.fields(client.ClientTimeout).total is attr.fields(client.ClientTimeout)[0])
    return results


@compared
async def test_a_class_of_attrs_below_time_limits(client: ModuleType, base: URL) -> object:
    """Attrs finds the inherited fields."""
    fields = {"retries": attr.ib(default=3)}
    limits = attr.make_class("Limits", fields, (client.ClientTimeout,), frozen=True)
    return attr.asdict(attr.evolve(limits(total=1), retries=4))


@compared
async def test_parameters_of_signals_are_classes_of_attrs(client: ModuleType, base: URL) -> object:
    """Each has the fields that its handlers are told."""
    classes = {name: getattr(client, name) for name in dir(client) if name.startswith("Trace")}
    start = client.TraceRequestStartParams("GET", base, CIMultiDict())
    return (
        {
            name: [field.name for field in attr.fields(each)]
            for name, each in classes.items()
            if name.endswith("Params")
        },
        list(attr.asdict(start, filter=lambda field, _: field.name != "url")),
        attr.evolve(start, method="PUT").method,
        attr.resolve_types(client.TraceDnsCacheHitParams)
        and attr.fields(client.TraceDnsCacheHitParams).host.type,
    )
