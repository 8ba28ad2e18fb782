"""What can be wrong, by who can act on it.

LabError                    shown without a traceback, exit code 4
├── KataError               a kata's files are malformed: its author acts
├── SubmissionError         the notebook cannot be taken as it is: the learner acts
├── EnvironmentNotReady     something is missing on this machine: whoever set it up acts
└── UsageError              no such kata, no such fix, exit code 2: whoever typed it acts

Anything else that reaches the top is a bug of ours and shows its traceback.
"""


class LabError(Exception):
    """A message says what was found, where, what was expected and what to do next."""

    exit_code = 4


class KataError(LabError):
    """A kata's files contradict the format or each other."""


class SubmissionError(LabError):
    """A learner's notebook cannot be run as it is."""


class EnvironmentNotReady(LabError):
    """The machine lacks something that the command needs."""


class UsageError(LabError):
    """The command line names something that does not exist."""

    exit_code = 2
