"""The file that a download writes to, until it is complete and takes its place."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import FileIO
from typing import Final, NoReturn

from .._common import replace_file
from ..client_exceptions import DownloadError
from .digest import Hash
from .locking import try_lock
from .notes import LONGEST, Notes

__all__ = ("PartFile",)

#: A symbolic link that somebody else has put there would lead to another file.
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)

#: A pipe that somebody else has put there would keep the thread waiting for ever.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)


class PartFile:
    """A ``.part`` file beside the one that it is to become, and notes of what it is a part of.

    All methods block, so worker threads call them, one at a time.

    A file with bytes is only used if there are notes beside it, which are written before the first
    byte.  So no file that is there for another reason is written to.

    :param path: where the file is to be in the end; a symbolic link is kept, and the file that it
        points to is replaced
    :param overwrite: whether a file may be there already
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        #: the file that is to be there in the end; when opened, without symbolic links
        self.path: str = os.path.abspath(path)
        self._part: str = ""  # until opened
        self._notes_path: str = ""  # the same
        self._overwrite: Final = overwrite
        self._file: FileIO | None = None  # until opened, and after the end
        self._mode: int | None = None  # of the file that is replaced
        self._notes: Notes | None = None
        #: how many bytes are there
        self.size: int = 0
        #: whether an incomplete part is left for a later download, if that can go on with it
        self.is_kept: bool = True

    # -- the beginning

    def open(self) -> None:
        """Open the part, with the bytes that an earlier download has left.

        :raises FileExistsError: there is a file that must not be replaced
        :raises DownloadError: another download writes to the part
        :raises OSError: the file cannot be written to, or the directory is not there
        """
        # Before the link is resolved: in a directory like /tmp, the system refuses to follow one
        # that another user has made.
        self._mode = self._mode_to_keep()
        self.path = os.path.realpath(self.path)
        self._part = f"{self.path}.part"
        self._notes_path = f"{self._part}.json"
        file = self._open_locked(0o666 if self._mode is None else 0o600)
        try:
            self._check_part(os.fstat(file.fileno()))
            # A file may be there that may not be written to.  A later download has to write to its
            # part all the same.
            self._change_mode(file, stat.S_IRUSR | stat.S_IWUSR)
            size = file.seek(0, os.SEEK_END)
            if size:
                self._notes = self._read_notes()
        except BaseException:
            file.close()
            raise
        self._file, self.size = file, size
        if not self.resume_at:
            self.cut(0)

    def _change_mode(self, file: FileIO, added: int = 0) -> None:
        """Give *file* the mode of the file that it replaces, if there is one, and more."""
        # By the descriptor, as the name might be that of another file by now.
        if self._mode is not None and os.chmod in os.supports_fd:
            os.chmod(file.fileno(), self._mode | added)

    def _mode_to_keep(self) -> int | None:
        """Return the mode of the file that is to be replaced; ``None`` if there is none."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(
                errno.EISDIR, "path is a directory: name a file in it", self.path
            )
        if not stat.S_ISREG(found.st_mode):
            # Such as /dev/null: replacing it would take it away from everybody.
            raise FileExistsError(errno.EEXIST, "path is not that of a regular file", self.path)
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        return stat.S_IMODE(found.st_mode) & 0o777

    def _open_locked(self, mode: int) -> FileIO:
        """Open the part and lock it; create it with *mode* if it is not there."""

        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_CREAT | _NO_LINK, mode)

        while True:
            file = FileIO(self._part, "r+", opener=opener)
            if not try_lock(file.fileno()):
                file.close()
                raise DownloadError("another download writes to the file", self._part)
            # Who had it locked until now may have moved it to its place, or removed it.
            with suppress(FileNotFoundError):
                now = os.stat(self._part, follow_symlinks=False)
                if os.path.samestat(now, os.fstat(file.fileno())):
                    return file
            file.close()

    def _check_part(self, found: os.stat_result) -> None:
        """Refuse a file to which somebody else may write, or that has another name besides."""
        is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if not (is_own and stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            self._refuse_part()

    def _refuse_part(self) -> NoReturn:
        raise FileExistsError(
            errno.EEXIST, "the file is not a part of a download: remove it first", self._part
        )

    def _read_notes(self) -> Notes:
        """Return the notes that belong to a part with bytes."""
        notes = None
        with suppress(OSError):
            descriptor = os.open(self._notes_path, os.O_RDONLY | _NO_LINK | _NO_WAIT)
            with open(descriptor, "rb") as file:
                is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
                data = file.read(LONGEST + 1) if is_file else b""
            if len(data) <= LONGEST:
                notes = Notes.from_bytes(data)
        if notes is None:
            self._refuse_part()
        return notes

    # -- going on

    @property
    def notes(self) -> Notes | None:
        """What the bytes that are there are a part of."""
        return self._notes

    @property
    def resume_at(self) -> int:
        """How many bytes need not be asked for; 0 if the file has to be begun anew.

        Of a part that has all bytes already, the last one is asked for again.  The server's answer
        then tells, as always, whether they still are those of the file.
        """
        notes = self._notes
        if notes is None or notes.validator is None:
            return 0
        if notes.total is None or self.size < notes.total:
            return self.size
        return 0 if self.size > notes.total else max(notes.total - 1, 0)

    def begin(self, notes: Notes) -> None:
        """Forget the bytes that are there, as those to come are a part of something else."""
        self.cut(0)
        replace_file(self._notes_path, notes.to_bytes(), mode=0o600)
        self._notes = notes

    def cut(self, size: int) -> None:
        """Keep the first *size* bytes only, and write after them."""
        file = self._opened()
        file.truncate(size)
        file.seek(size)
        self.size = size

    def write(self, piece: bytes) -> None:
        """Write all of *piece*."""
        file = self._opened()
        rest = memoryview(piece)
        while rest:
            written = file.write(rest)
            self.size += written
            rest = rest[written:]

    def feed(self, target: Hash, start: int, size: int) -> int:
        """Update the hash *target* with up to *size* bytes from *start* on; return how many."""
        file = self._opened()
        file.seek(start)
        data = file.read(size)
        target.update(data)
        return len(data)

    def _opened(self) -> FileIO:
        assert self._file is not None  # opened, and not at its end
        return self._file

    # -- the end

    def finish(self) -> None:
        """Put the complete file to its place.

        :raises FileExistsError: there is one by now, and it must not be replaced
        """
        file = self._opened()
        self._change_mode(file)
        # Without it, a crash of the machine could leave an incomplete file under the final name.
        os.fsync(file.fileno())
        if not self._overwrite and os.path.lexists(self.path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        _close_on_windows(file)
        os.replace(self._part, self.path)
        _remove(self._notes_path)
        self._file = None
        file.close()

    def close(self) -> None:
        """Close the part; remove it if no later download can go on with it."""
        file, self._file = self._file, None
        if file is None:
            return
        if not (self.is_kept and self.size and self.resume_at):
            _close_on_windows(file)
            # In this order: a part without notes would be taken for another file.
            _remove(self._part)
            _remove(self._notes_path)
        file.close()


def _close_on_windows(file: FileIO) -> None:
    """Close *file* where an open file can be neither moved nor removed.

    Elsewhere it stays open, and so locked, until nothing can be written to it under its old name.
    """
    if os.name == "nt":  # pragma: no cover
        file.close()


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
