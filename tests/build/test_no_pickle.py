"""Cython pickles C members, descriptors among them, unless it is told not to: it was told."""

from __future__ import annotations

import importlib

import pytest

from knote.buildinfo import build_info


@pytest.mark.parametrize("name", build_info()["modules"])
def test_no_class_has_cythons_automatic_pickling(name: str) -> None:
    module = importlib.import_module(name)
    classes = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == name]
    automatic = {"__reduce_cython__", "__setstate_cython__"}
    assert not [one for one in classes if automatic & set(vars(one))]
