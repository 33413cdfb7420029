"""Which exams there are, and how their questions are put."""
