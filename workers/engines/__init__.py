"""Engines in a worker's child: what turns prompts into log-probabilities and tokens."""
