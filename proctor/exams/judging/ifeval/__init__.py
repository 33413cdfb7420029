"""IFEval (Zhou et al. 2023, arXiv 2311.07911): 25 instructions that a program can check.

The checks are ours, of the facts; they are meant to agree with lm-evaluation-harness 0.4.13, its corners included. They
differ on purpose where its answer is drawn at random: the language is detected with a fixed seed, and a letter that is
none (`#`, `!`) is counted itself, where another one is drawn there.
"""
