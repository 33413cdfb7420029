"""Conversations, their Turns and replies in the database."""
