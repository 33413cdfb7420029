"""The engine: everything that holds a model. torch and transformers; no queue, no database.

`load` brings a model into memory, `score` says what a scorer promises, `plain` is the scorer that is slow and obvious,
`tokens` is the model's own reading of text, `meter` measures.
"""
