"""dlcli: turn a YAML recipe into a trained, evaluated and explained Keras model in one run directory."""

__version__ = "0.1.0"
