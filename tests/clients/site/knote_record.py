"""A pytest plugin: each test is a line of JSON in the file that KNOTE_RESULT names, as soon as it is over."""

import json
import os

outcomes = {}


def record(test, outcome, text=""):
    """The last line of a test is its outcome; a failure in its tear-down comes after its success."""
    if outcomes.get(test) != "failed":
        outcomes[test] = outcome
        with open(os.environ["KNOTE_RESULT"], "a") as result:
            result.write(json.dumps({"test": test, "outcome": outcome, "text": text}) + "\n")


def pytest_collectreport(report):
    if report.skipped:
        record(report.nodeid, "skipped", reason(report))
    elif report.failed:
        record(report.nodeid, "failed", str(report.longrepr))


def pytest_runtest_logreport(report):
    if report.failed:
        record(report.nodeid, "failed", str(report.longrepr))
    elif report.skipped:  # pytest calls a test skipped that failed as it was meant to
        if hasattr(report, "wasxfail"):
            record(report.nodeid, "passed")
        else:
            record(report.nodeid, "skipped", reason(report))
    elif report.when == "call":
        record(report.nodeid, "passed")


def reason(report):
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
