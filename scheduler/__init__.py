"""What should run, and what next: plans, choices, submission, progress."""
