"""Answers in mathematics: read out of a reply, written alike, and compared by value."""
