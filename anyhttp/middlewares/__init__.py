"""Middlewares that programs need often: pass them to a session or a request."""

from __future__ import annotations

from ._rate_limit import RateLimitMiddleware
from ._retry import RetryAttempt, RetryMiddleware

__all__ = ("RateLimitMiddleware", "RetryAttempt", "RetryMiddleware")
