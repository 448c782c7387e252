"""What pyproject.toml cannot say: the scripts are shipped in the package, as `rlopt/scripts`."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["rlopt*"]), "rlopt.scripts"], package_dir={"rlopt.scripts": "scripts"})
