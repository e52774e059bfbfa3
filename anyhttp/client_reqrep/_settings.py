"""The values from which a :class:`ClientRequest` is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from .._common import Fields, HttpVersion, HttpVersion11
from .._network import SSLOption
from .._targets import BasicAuth, Destination
from ..payload import Payload
from ._prepared import PreparedHeaders
from ._response import ClientResponse

__all__ = ("DEFAULT_SETTINGS", "GivenParts", "RequestParts", "RequestSettings")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSettings:
    """How a request is made, as the session or the caller chose.

    :param skip_auto_headers: names, in lower case, of headers that are not added automatically
    :param compress: content coding of the body
    :param chunked: whether the body is sent in chunks; ``None``: if its length is not known
    :param expect100: whether to wait for ``100 Continue`` before the body is sent
    :param keep_alive: whether the connection is kept for later requests
    """

    skip_auto_headers: frozenset[str] = frozenset()
    version: HttpVersion = HttpVersion11
    compress: str | None = None
    chunked: bool | None = None
    expect100: bool = False
    keep_alive: bool = True
    ssl: SSLOption = True
    server_hostname: str | None = None
    response_class: type[ClientResponse] = ClientResponse


#: The settings of most sessions; requests with this object take a shorter path.
DEFAULT_SETTINGS: Final = RequestSettings()


class RequestParts(Protocol):
    """The values of a request except its headers and cookies, which are passed separately."""

    @property
    def method(self) -> str: ...
    @property
    def destination(self) -> Destination: ...
    @property
    def body(self) -> Payload | None: ...
    @property
    def auth(self) -> BasicAuth | None: ...
    @property
    def session(self) -> object: ...  # a ClientSession, which stands above this module
    @property
    def settings(self) -> RequestSettings: ...
    # The session's headers, if those of the request are just these and *own_headers*.
    @property
    def prepared(self) -> PreparedHeaders | None: ...
    @property
    def own_headers(self) -> Fields: ...


class GivenParts(NamedTuple):
    """The :class:`RequestParts` of a program that calls :class:`ClientRequest` itself."""

    method: str
    destination: Destination
    body: Payload | None
    auth: BasicAuth | None
    session: object
    settings: RequestSettings
    prepared: PreparedHeaders | None = None
    own_headers: Fields = ()
