"""The body of a request: its options, and what they stand for."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from anyhttp import FormData
from anyhttp._common import has_surrogate
from anyhttp._headers import TOKEN

from ._arguments import ENVIRONMENT, NOT_SHOWN, as_body, as_json, read_file, read_value
from ._options import add_options

FORM: Final = "application/x-www-form-urlencoded"
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}[ \t]*(?:;|\Z)")
# The separator before a property of a file; other semicolons belong to what they stand in.
_PROPERTY: Final = re.compile(r";(?=(?:type|filename)=)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a multipart form.

    :param value: text, or the file or the content of one
    """

    name: str
    value: str | bytes | Path
    content_type: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent: see :func:`body_options`.

    :param headers: those that it implies
    """

    content: bytes | Path | Sequence[FormField] | None = None
    headers: Sequence[tuple[str, str]] = ()

    @property
    def method(self) -> str:
        """The method of a request, unless the user names another one."""
        return "GET" if self.content is None else "POST"

    @property
    def has_files(self) -> bool:
        """Whether it may be so large that a progress bar is of use."""
        content = self.content
        if content is None or isinstance(content, bytes):
            return False
        return isinstance(content, Path) or any(isinstance(each.value, Path) for each in content)


def body_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a :class:`Body`, which is passed as ``body``."""

    def bundling(
        *args: Any,
        data: bytes | Path | None,
        json_body: bytes | None,
        form: Sequence[FormField],
        **others: Any,
    ) -> Any:
        given = [content for content in (data, json_body, form or None) if content is not None]
        if len(given) > 1:
            raise click.UsageError("use only one of --data, --json and --form")
        headers: Sequence[tuple[str, str]] = ()
        if json_body is not None:
            headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
        elif isinstance(data, bytes):
            headers = [("Content-Type", FORM)]
        body = Body(content=given[0] if given else None, headers=headers)
        return function(*args, body=body, **others)

    options = (
        click.option(
            "-d",
            "--data",
            metavar="TEXT|@FILE",
            callback=as_body,
            help="Send a form, or FILE with the type of its name; @- is standard input.",
        ),
        click.option(
            "--json",
            "json_body",
            metavar="TEXT|@FILE",
            callback=as_json,
            help="Send and ask for JSON.",
        ),
        click.option(
            "-F",
            "--form",
            metavar="NAME=TEXT|NAME=@FILE",
            multiple=True,
            callback=as_form,
            help="Send this field, or FILE, in a multipart form; may be repeated. "
            "';type=TYPE' and ';filename=NAME' may follow FILE.",
        ),
    )
    return add_options(options, update_wrapper(bundling, function))


def as_form(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> Sequence[FormField]:
    """Return the fields of a form.

    :raises click.BadParameter: one of them is none, or cannot be sent
    """
    fields = [_as_field(ctx, param, value) for value in values]
    form = FormData()
    for field in fields:
        texts = (field.name, field.filename or "", field.value)
        if any(isinstance(text, str) and has_surrogate(text) for text in texts):
            raise click.BadParameter(f"a name or a text is not in UTF-8 {NOT_SHOWN}", ctx, param)
        try:
            form.add_field(field.name, "", content_type=field.content_type, filename=field.filename)
        except ValueError as exc:
            raise click.BadParameter(str(exc).replace("content_type", "type"), ctx, param) from None
    return fields


def _as_field(ctx: click.Context, param: click.Parameter, text: str) -> FormField:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise click.BadParameter(
            f"a field is not of the form NAME=VALUE or NAME=@FILE {NOT_SHOWN}", ctx, param
        )
    if value.startswith("<"):  # as with curl: the content of the file is the text
        return FormField(name=name, value=read_value(ctx, param, f"@{value[1:]}"))
    if value.startswith(ENVIRONMENT) or not value.startswith("@"):
        return FormField(name=name, value=read_value(ctx, param, value))
    path, *others = _PROPERTY.split(value[1:])
    properties = dict(each.split("=", 1) for each in others)
    filename = properties.get("filename", Path(path).name)
    content_type = properties.get("type", mimetypes.guess_type(filename)[0])
    if content_type is not None and not _MEDIA_TYPE.match(content_type):
        raise click.BadParameter("the type of a file is not of the form TYPE/SUBTYPE", ctx, param)
    return FormField(
        name=name,
        value=read_file(ctx, param, path),
        content_type=content_type,
        filename=filename,
    )


@contextmanager
def opened(body: Body) -> Iterator[bytes | BinaryIO | FormData | None]:
    """Open the files of *body*, and close them afterwards."""
    content = body.content
    with ExitStack() as files:
        if content is None or isinstance(content, bytes):
            yield content
        elif isinstance(content, Path):
            yield files.enter_context(content.open("rb"))
        else:
            # A name of a file goes out as it is, in UTF-8, as browsers and curl send it.
            form = FormData(quote_fields=False, default_to_multipart=True)
            for field in content:
                value = field.value
                form.add_field(
                    field.name,
                    files.enter_context(value.open("rb")) if isinstance(value, Path) else value,
                    content_type=field.content_type,
                    filename=field.filename,
                )
            yield form
