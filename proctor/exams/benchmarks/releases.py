"""The release of another harness that prompts and figures are compared with."""

from __future__ import annotations

LM_EVAL = "lm_eval 0.4.13"
