"""The graphs: one a module, each a function from a panel or a small value to a `Graph`; nothing global is touched.

The title says the finding; categories are Okabe-Ito colours and shapes, amounts cividis, differences PuOr.
"""
