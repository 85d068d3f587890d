"""What pyproject.toml cannot say: the recipes of the repository are part of the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["dlcli", "dlcli.*"]), "dlcli.recipes"],
    package_dir={"dlcli.recipes": "recipes"},
)
