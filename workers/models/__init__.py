"""The model that a worker's child holds, and its files on this machine."""
