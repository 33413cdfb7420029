"""What makes transformers' models faster on a CPU."""
