"""Forms with fields and files, sent urlencoded or as ``multipart/form-data`` (:rfc:`7578`)."""

from __future__ import annotations

import io
import secrets
import warnings
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
from multidict import MultiDict, MultiDictProxy

from . import hdrs
from ._common import Hooks, check_charset, check_flag, check_str, class_has, shown_class
from ._headers import CONTROL, CONTROL_BUT_TAB
from .multipart import MultipartWriter
from .payload import (
    BytesPayload,
    Payload,
    PayloadShape,
    Readable,
    advice,
    file_name,
    get_payload,
    urlencoded,
)

__all__ = ("FormData",)


@dataclass(slots=True)
class _Field:
    name: str
    value: object
    content_type: str | None
    filename: str | None
    payload: Payload | None = None  # made when the multipart is built for the first time


class FormData:
    """The fields and files of a form; calling the object returns the body.

    :param fields: mapping or pairs of names and values, or an open file; see
        :meth:`add_fields`
    :param quote_fields: write file names percent-encoded; otherwise they are sent as they are,
        in UTF-8, as the names of fields in a multipart always are
    :param charset: charset of the text; UTF-8 when left out
    :param default_to_multipart: send a multipart even without a file
    :raises TypeError: *fields* has an unsupported type
    :raises ValueError: Python does not know *charset*

    The body is urlencoded unless a field needs a multipart: a file, or a field with a file
    name, content type or transfer encoding of its own.  The body can be made again: files are
    then sent from the position that they had the first time.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _HOOKS.check_subclass(cls)

    def __init__(
        self,
        fields: Mapping[str, Any] | Iterable[Any] | io.IOBase = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._fields: list[_Field] = []
        if charset is not None:
            check_charset("charset", charset)
        check_flag("quote_fields", quote_fields)
        check_flag("default_to_multipart", default_to_multipart)
        self._quote_fields = quote_fields
        self._charset = charset
        self._is_multipart = default_to_multipart
        # The boundary is fixed: a redirect may make the body again, but keep the headers.
        self._boundary = secrets.token_hex(16)
        if isinstance(fields, Mapping) and not isinstance(fields, (MultiDict, MultiDictProxy)):
            self.add_fields(*fields.items())
        elif isinstance(fields, (list, tuple)):
            self.add_fields(*fields)
        else:
            self.add_fields(fields)

    @property
    def is_multipart(self) -> bool:
        """Whether the body will be a multipart."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: object,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add a field.

        :param value: text, an open file, bytes, or anything else that can be a body; bytes
            without *filename* are sent as a file called *name*, which is deprecated
        :param content_type: of the part
        :param filename: of the part; when left out, the file's own name, else *name*
        :param content_transfer_encoding: deprecated; its only effect is to make the form a
            multipart
        :raises TypeError: an argument is of the wrong type
        :raises ValueError: an argument holds a control character
        """
        check_str("name", name)
        for argument, text in (
            ("name", name),
            ("content_type", content_type),
            ("filename", filename),
            ("content_transfer_encoding", content_transfer_encoding),
        ):
            _check_text(argument, text)
        if content_transfer_encoding is not None:
            warnings.warn(
                "content_transfer_encoding is deprecated, and was not applied",
                DeprecationWarning,
                stacklevel=2,
            )
        if filename is None and content_transfer_encoding is None and _is_bytes(value):
            warnings.warn(
                "bytes will no longer be sent as a file: give a filename, or a str",
                DeprecationWarning,
                stacklevel=2,
            )
            filename = name
        if filename is None and _is_file(value):
            filename = file_name(value) or name
        if (
            filename is not None
            or content_type is not None
            or content_transfer_encoding is not None
            # neither can be urlencoded
            or isinstance(value, (Payload, PayloadShape, AsyncIterable))
        ):
            self._is_multipart = True
        self._fields.append(_Field(name, value, content_type, filename))

    def add_fields(self, *fields: Any) -> None:
        """Add several fields.

        :param fields: each a pair of name and value, a multidict of such, or an open file,
            which gives the field its name
        :raises TypeError: a field is something else
        """
        for field in fields:
            if _is_file(field):
                self.add_field(file_name(field) or "unknown", field)
            elif isinstance(field, (MultiDict, MultiDictProxy)):
                self.add_fields(*field.items())
            elif isinstance(field, (list, tuple)) and len(field) == 2:
                self.add_field(*field)
            else:
                raise TypeError(
                    "a form is made of (name, value) pairs, multidicts and open files, "
                    f"not of {shown_class(type(field))}: {_advice_on_field(field)}"
                )

    def __call__(self) -> Payload:
        """Return the body.

        :raises TypeError: a value cannot be sent
        """
        return self._multipart() if self._is_multipart else self._urlencoded()

    def _urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        content_type = "application/x-www-form-urlencoded"
        if charset != "utf-8":
            content_type = f"{content_type}; charset={charset}"
        pairs = [(field.name, field.value) for field in self._fields]
        return BytesPayload(urlencoded(pairs, charset), content_type=content_type)

    def _multipart(self) -> Payload:
        writer = MultipartWriter("form-data", self._boundary)
        for field in self._fields:
            if field.payload is None:
                field.payload = self._part(field)
            writer.append_payload(field.payload)
        return writer

    def _part(self, field: _Field) -> Payload:
        value = field.value
        try:
            if isinstance(value, Iterator) and not _is_file(value):
                raise LookupError  # does it yield the bytes of one value, or several values?
            part = get_payload(value, content_type=field.content_type, encoding=self._charset)
        except LookupError:
            raise TypeError(
                f"field {field.name!r}: a value of type {type(value).__name__} "
                f"cannot be sent as a part: {advice(value)}"
            ) from None
        if field.content_type is not None:
            part.headers[hdrs.CONTENT_TYPE] = field.content_type
        # The boundary ends the part, so the part must not have a length (RFC 7578 §4.8).
        part.headers.popall(hdrs.CONTENT_LENGTH, None)
        params = {"name": field.name}
        if field.filename is not None:
            params["filename"] = field.filename
        part.set_content_disposition("form-data", self._quote_fields, **params)
        return part


def payload_of(data: Any) -> Payload:
    """Return the body that the option ``data`` of a request asks for.

    :raises TypeError: *data* is of a type that cannot be sent
    """
    if isinstance(data, FormData):
        return data()
    try:
        return get_payload(data)
    except LookupError:
        if not class_has(data, "__call__", "add_field", "add_fields", "is_multipart"):
            return FormData(data)()
    made = data()  # a form of aiohttp makes a payload of aiohttp
    try:
        return get_payload(made)
    except LookupError:
        name = shown_class(type(made))
        raise TypeError(f"{name} can be sent only if it is of aiohttp 3.12 or newer") from None


def _check_text(argument: str, text: str | None) -> None:
    """Refuse text with a line break, which would end the header it is in (CVE-2026-34514)."""
    if text is None or (isinstance(text, str) and text.isprintable()):
        return
    check_str(argument, text)
    control = CONTROL_BUT_TAB if argument == "content_type" else CONTROL
    if control.search(text):
        raise ValueError(f"{argument} holds a control character")


def _advice_on_field(field: object) -> str:
    """Return what to write in place of *field*, which is no field."""
    if isinstance(field, (str, list, tuple)) or _is_bytes(field):
        return "give a pair of a name and a value"
    return advice(field)


def _is_bytes(value: object) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_file(value: object) -> bool:
    return not isinstance(value, (str, bytes)) and isinstance(
        value, (io.IOBase, anyio.AsyncFile, Readable)
    )


_SENT: Final = "the form would be sent without it. Override __call__(), which returns the body"

#: how programs change aiohttp's form, and not this one
_HOOKS: Final = Hooks(FormData, {"_gen_form_data": _SENT, "_gen_form_urlencoded": _SENT})
