"""Finished Runs into frames, statistics, graphs and reports. Never writes Runs."""
