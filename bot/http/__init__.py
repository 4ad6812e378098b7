"""The HTTP listener: health, readiness, metrics."""
