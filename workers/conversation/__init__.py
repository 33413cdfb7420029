"""Replies to conversations, in a worker's child: claimed, written token by token, streamed."""
