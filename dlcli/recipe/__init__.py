"""The recipe: `load` reads and checks it; `sections` and `tasks` define every key and default.

`language` knows no keys: it reads YAML with lines and columns, applies values from the command line, and diagnoses
errors. This package imports nothing itself, so that help texts need not wait for pydantic.
"""
