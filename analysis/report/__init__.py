"""The report: sections of text, tables and graphs, written as one offline HTML page with its files beside it."""
