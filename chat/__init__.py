"""Conversations: what is said over the queue, what a model gets to see of one, and the ways to talk to it."""
