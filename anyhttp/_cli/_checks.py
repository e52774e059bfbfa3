"""Values of options that are checked before anything is sent."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from anyhttp._headers import checked_method


class Seconds(click.FloatRange):
    """A number of seconds, which may be without end, but must be a number."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.

        :raises click.BadParameter: it is none, or out of the range
        """
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


class FilePath(click.Path):
    """A path that has to be named: an empty one would be the present directory."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        :raises click.BadParameter: it is empty, or a directory where only files are allowed
        """
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


def as_method(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the method of a request.

    :raises click.BadParameter: no request has such a method
    """
    if value is not None:
        try:
            checked_method(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not a method of HTTP", ctx, param) from None
    return value


method_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "-X",
    "--request",
    "method",
    callback=as_method,
    help="Method; GET, or POST if there is a body.",
)


def check_file_to_write(path: Path) -> None:
    """Check that a file can be written or replaced; a symbolic link is followed.

    :raises OSError: it cannot
    """
    mode = 0
    with suppress(FileNotFoundError):
        # Before the link is resolved: in a directory like /tmp, the system refuses to follow one
        # that another user has made.
        mode = os.stat(path).st_mode
    if mode and not stat.S_ISREG(mode):
        _check_access(path, os.W_OK)
    else:
        check_directory((Path(os.path.realpath(path)) if path.is_symlink() else path).parent)


def check_directory(path: Path) -> None:
    """Check that files can be made in the directory *path*.

    :raises OSError: they cannot
    """
    os.stat(path)  # raises what is wrong with it
    _check_access(path, os.W_OK | os.X_OK)


def _check_access(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
