"""A broker and workers of our own for the life of one command, owned by a guard."""
