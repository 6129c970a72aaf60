"""Which build ran: the tests mean nothing if the wrong one answered."""

from __future__ import annotations

import importlib
import os

import knote
from knote import buildinfo


def test_the_build_that_was_asked_for_is_the_one_that_runs() -> None:
    info = knote.build_info()
    expected = os.environ.get("KNOTE_EXPECT_BUILD")
    assert info["build"] in ({expected} if expected else {"compiled", "interpreted"}), info


def test_no_module_is_stale() -> None:
    assert not [name for name, one in knote.build_info()["modules"].items() if one["stale"]]


def test_every_module_is_imported_from_where_build_info_says() -> None:
    info = knote.build_info()
    assert info["modules"]
    for name, one in info["modules"].items():
        module = importlib.import_module(name)
        assert module.__file__ == one["file"], name
    assert knote.build_info() == info


def test_an_interpreted_build_that_nobody_chose_says_why() -> None:
    info = knote.build_info()
    assert info["requested"] in ("compiled", "interpreted", "auto")
    if info["build"] == "interpreted" and info["requested"] != "interpreted":
        assert info["reason"]
    else:
        assert info["reason"] is None


def test_the_public_name_is_the_function() -> None:
    assert knote.build_info is buildinfo.build_info
