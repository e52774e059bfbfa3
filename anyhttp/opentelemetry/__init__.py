"""OpenTelemetry: spans, metrics and context propagation for the requests of a session."""

from __future__ import annotations

try:
    import opentelemetry.trace as _  # noqa: F401  (the files of this package need it)
except ImportError as _exc:
    raise ImportError(
        "anyhttp.opentelemetry needs opentelemetry-api: pip install 'anyhttp-client[otel]'"
    ) from _exc

from ._conventions import REDACTED_QUERY
from ._middleware import OpenTelemetryMiddleware

__all__ = ("REDACTED_QUERY", "OpenTelemetryMiddleware")
