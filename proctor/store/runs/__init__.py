"""Sweeps, Runs and the workers that sit them in the database: claims, leases, lanes, exams."""
