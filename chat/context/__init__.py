"""What a model is shown of a conversation: its window, the thread and the summaries. Pure; used by a worker's child."""
