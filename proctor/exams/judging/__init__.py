"""Judging: from stored raw replies and a task's form to what a question is worth. Pure; judged again at no cost.

A written reply is read (`replies`: thought split off, stop strings cut), goes through each filter chain of the form
(`chains`, `filters`) and is held against the reference by each metric (`metrics`). `marking` ties them together.
"""
