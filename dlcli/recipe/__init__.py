"""The recipe language: `load` reads and checks a recipe, the modules of its sections hold every key and default.

`source` reads YAML with places, `override` puts the command line's values in, the sections decide what is valid, and
`explain` says what is not. This package imports nothing by itself, so that help texts need not wait for pydantic.
"""
