"""Downloading into files: what is interrupted goes on later, and no file is ever half of it."""

from __future__ import annotations

from .call import DownloadOptions, DownloadResult, download
from .transfer import OWN_HEADERS

__all__ = ("OWN_HEADERS", "DownloadOptions", "DownloadResult", "download")
