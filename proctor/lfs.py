"""Pointers of Git LFS: the small text files that stand where a clone without LFS left the large ones out."""

from __future__ import annotations

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_BEGINS = b"version https://git-lfs.github.com/spec/"
HEAD_BYTES = len(_BEGINS)
FETCH = "Fetch what it stands for: git lfs pull, in the folder that was cloned."


def is_pointer(head: bytes) -> bool:
    """Whether a file that begins with these bytes (`HEAD_BYTES` are enough) is a pointer of Git LFS."""
    return head.startswith(_BEGINS)
