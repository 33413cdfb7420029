"""Asking the fleet: one Turn at a time and its reply as it comes, in threads or asyncio; sessions over them."""

from chat.client.client import Chat, Client, Reply

__all__ = ["Chat", "Client", "Reply"]
