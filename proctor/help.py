"""How every command of ours shows its help."""

from __future__ import annotations

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}  # of `context_settings`
