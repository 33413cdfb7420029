"""Programs that models wrote, run apart from everything: own namespaces, nothing to read, nothing to reach, limits."""
