"""`python -P -m workers worker ...`: Celery's command line with our application, as the launcher starts it."""

import sys

from workers.celery import app

app.start(sys.argv[1:])
