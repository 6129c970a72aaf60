"""Twisted's trial, on the reactor that KNOTE_REACTOR names: ``python -m knote_trial TEST...``."""

import os
import sys
import tempfile

from knote_record import record
from twisted.python.reflect import namedAny

namedAny(f"twisted.internet.{os.environ.get('KNOTE_REACTOR', 'default')}.install")()

from twisted.trial import reporter, runner  # noqa: E402  # these want a reactor to be there


class Recorder(reporter.VerboseTextReporter):
    """Says what trial says, and records it."""

    def addSuccess(self, test):
        super().addSuccess(test)
        record(test.id(), "passed")

    def addFailure(self, test, failure):
        super().addFailure(test, failure)
        record(test.id(), "failed", str(failure))

    def addError(self, test, failure):
        super().addError(test, failure)
        record(test.id(), "failed", str(failure))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        record(test.id(), "skipped", str(reason))

    def addExpectedFailure(self, test, failure, todo=None):
        super().addExpectedFailure(test, failure, todo)
        record(test.id(), "passed")


def main(names):
    suite = runner.TestLoader().loadByNames(names, recurse=True)
    with tempfile.TemporaryDirectory(prefix="knote-trial-") as folder:
        trial = runner.TrialRunner(Recorder, workingDirectory=os.path.join(folder, "work"), stream=sys.stdout)
        trial.run(suite)
        os.chdir("/")  # trial stays where it worked


main(sys.argv[1:])
