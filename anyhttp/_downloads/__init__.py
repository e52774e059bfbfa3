"""Downloading into files: what is interrupted goes on later, and no file is ever half of it."""

from __future__ import annotations

from .call import DownloadOptions, DownloadResult, download

__all__ = ("DownloadOptions", "DownloadResult", "download")
