"""Which models there are: a name becomes files, a revision, facts about the weights, and a prediction of memory.

Free of torch. `resolve` reads names, `demo` fetches the models that need no hub, `weights` reads facts from headers,
`memory` predicts from them.
"""
