"""The history of the tables. A change of `tables.py` needs a new revision here: `alembic revision --autogenerate`."""

KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")  # in order
HEAD = KNOWN[-1]
