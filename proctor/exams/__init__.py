"""What is asked and how it is judged. Pure: no queue, no database, no model."""
