"""Files that are replaced as a whole."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final

__all__ = ("replace_file",)

#: How a file is opened that must not be there yet.
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def replace_file(path: str, content: bytes, *, mode: int) -> None:
    """Put a new file with *content* in the place of *path*, which is left as it was on an error.

    :param mode: permissions of the new file, less those that the umask takes away
    :raises FileExistsError: something other than a file is there
    :raises OSError: the file could not be written
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            # Such as /dev/stdout: replacing it would take it away from everybody.
            raise FileExistsError(errno.EEXIST, "not a regular file", path)
    # In the same directory, as a rename does not cross file systems.  The name is random and the
    # file is created exclusively: two writers do not meet.
    fresh = os.path.join(os.path.dirname(path), f".anyhttp-{os.urandom(8).hex()}")
    try:
        with open(os.open(fresh, _NEW, mode), "wb") as file:
            file.write(content)
            file.flush()
            # Without it, a crash of the machine could leave an empty file under the new name.
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise
