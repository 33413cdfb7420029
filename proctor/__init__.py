"""What the rooms of Proctor share: words, errors, settings, exams, the store and the broker."""

__version__ = "0.1.0"
