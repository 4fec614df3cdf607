"""The Python client: coalesces single calls onto a stream, retries, keeps idempotency keys, names refused fields."""
