"""Tasks: which rows are asked, how they are put and how replies are judged; and exams written out by them."""
