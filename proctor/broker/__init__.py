"""The Celery app and the bell: what the broker carries."""
