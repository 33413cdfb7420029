"""Whether this machine's device scores and replies rightly, and how fast: before the first sweep on a GPU.

    python -m bench.device_check --device cuda --minutes 8 --json device-check.json
    python -m bench.device_check --device cpu --only 'scores-*'

It needs Python, torch and Proctor's packages: no network, no hub, no database, no files. Models are made in place
with random weights; the demo model is scored too where it lies in the cache. docs/gpu.md explains each line.

`everything` lists the checks, `of_*` hold them, `workshop` is what they work with, `work` runs them in a process that
`supervise` starts, watches and replaces.
"""
