"""Results in and out: our own files, lm-evaluation-harness's, and what other people's programs write."""
