"""The Celery app, the bell, and the embedded Valkey."""
