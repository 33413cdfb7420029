"""Writing texts: continuous batching over a KV cache, and the plain way beside it."""
