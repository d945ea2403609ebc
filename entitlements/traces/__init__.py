"""Traces: the W3C trace context that comes in and goes out, and spans for OpenTelemetry."""
