"""Log-probabilities of given options: prefix caching and packs without padding, and the plain way beside them."""
