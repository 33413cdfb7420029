"""The engine: everything that holds a model. torch and transformers; no queue, no database.

`load` brings a model into memory and `score` says what a scorer promises. `shared` is the fast scorer: `rows` lays a
pack out behind what its prompts share, `attention` lets each token see its own prompt only. `plain` is the scorer that
is slow and obvious; `serving` chooses between them. `tokens` is the model's own reading of text, `meter` measures.
"""
