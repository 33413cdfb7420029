"""Speed: each script prints JSON lines; figures stand in docs/experiments.md."""
