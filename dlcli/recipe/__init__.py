"""The recipe: `load` reads and checks it; `sections` and `tasks` hold every key and default.

`language` knows no key: it reads YAML with line and column, applies the command line's values, and explains what is
wrong. This package imports nothing by itself, so that help texts need not wait for pydantic.
"""
