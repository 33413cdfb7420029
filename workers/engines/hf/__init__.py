"""The engine of transformers on torch."""
