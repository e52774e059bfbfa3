"""Middlewares that programs need often: pass them to a session or a request."""

from __future__ import annotations

from ._bearer import BearerAuthMiddleware, TokenSource
from ._bearer_token import BearerToken
from ._rate_limit import RateLimitMiddleware
from ._retry import RetryAttempt, RetryMiddleware, RetryPredicate

__all__ = (
    "BearerAuthMiddleware",
    "BearerToken",
    "RateLimitMiddleware",
    "RetryAttempt",
    "RetryMiddleware",
    "RetryPredicate",
    "TokenSource",
)
