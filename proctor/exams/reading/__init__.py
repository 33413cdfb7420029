"""People's files to questions: formats, columns, answer keys, subjects; every fault by file and row."""
