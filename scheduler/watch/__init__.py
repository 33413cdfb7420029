"""Watching sweeps: progress, the grid of a sweep, the fleet."""
