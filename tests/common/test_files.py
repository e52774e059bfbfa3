"""Files that are replaced as a whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyhttp._common import replace_file


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A common one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o600), (0o666, 0o644)])
def test_a_file_is_replaced_with_the_mode_that_the_umask_leaves(
    tmp_path: Path, mode: int, expected: int
) -> None:
    """The mode of the old file does not count."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_file(str(path), b"new", mode=mode)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == expected
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_in_the_working_directory_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is a path, too."""
    monkeypatch.chdir(tmp_path)
    replace_file("file", b"new", mode=0o600)
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is the old one damaged, nor does a part of the new one stay."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(str(path), b"new", mode=0o600)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """Such as a folder, or /dev/stdout."""
    with pytest.raises(FileExistsError, match="not a regular file"):
        replace_file(str(tmp_path), b"", mode=0o600)
