"""Convolution by itself, without a network: its arithmetic and kernels that are known by name."""
