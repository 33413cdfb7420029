"""The nouns of Proctor: frozen values that every room shares; docs/architecture.md has a line on each."""
