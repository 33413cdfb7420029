"""Models and numbers: torch and transformers, no queue, no database."""
