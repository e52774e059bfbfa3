"""``--cookie-jar``: the file in which cookies are between commands."""

from __future__ import annotations

import os
from pathlib import Path

import click

from anyhttp import CookieJar

from ._checks import check_file_to_write
from ._failures import describe


def as_cookie_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Return the path of the file, after checking that it can be read and replaced.

    :raises click.BadParameter: it cannot
    """
    if value is not None:
        try:
            read_cookies(value)
            check_file_to_write(value)
        except (OSError, ValueError) as exc:
            raise click.BadParameter(describe(exc), ctx, param) from exc
    return value


def read_cookies(path: Path) -> CookieJar:
    """Return a jar with the cookies of the file *path*, if there is one.

    :raises OSError: the file cannot be read
    :raises ValueError: it is not a file of cookies
    """
    jar = CookieJar(unsafe=True)  # the user names the server, also by its IP address
    if path.exists():
        if not path.is_file():  # opening a pipe would wait for its other end
            raise ValueError(f"{path} is not a regular file")
        jar.load(path)
    return jar


def write_cookies(jar: CookieJar, path: Path) -> None:
    """Write the cookies of *jar* to the file *path*, which keeps its format.

    A new one is a ``cookies.txt``, which other programs read, too.  A symbolic link is kept, and
    the file that it points to is replaced.

    :raises OSError: it cannot be written
    """
    try:
        jar.save(os.path.realpath(path), format="json" if _is_json(path) else "netscape")
    except OSError as exc:  # its name is that of the new file, which was to replace this one
        raise OSError(exc.errno, exc.strerror, str(path)) from exc


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) in {b"{", b"["}
    except FileNotFoundError:
        return False
