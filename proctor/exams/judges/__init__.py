"""Judges: models that sit an exam whose questions are another model's replies."""
