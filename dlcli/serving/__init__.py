"""Serves the models of runs over HTTP: protocols, batching of requests, limits, metrics and a page to try a model."""
