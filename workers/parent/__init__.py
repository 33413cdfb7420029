"""A worker's parent process: hears bells, takes in requests, watches its child. Never torch."""
