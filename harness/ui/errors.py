"""Errors of a command as one message and an exit code."""

from __future__ import annotations

import errno
from typing import Any

import click

from harness.course.errors import EnvironmentNotReady, LabError

INTERRUPTED = 130
"""The exit code of a command that ctrl-C ended."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


class Shown(click.ClickException):
    """A LabError as click prints it."""

    def __init__(self, error: LabError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares a class variable and reads the instance's


class Lab(click.Group):
    """Shows errors that a user can act on as one message with an exit code; only a bug of ours shows a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as e:
            raise Shown(e) from None
        except KeyboardInterrupt as e:
            click.echo(f"\nStopped: {str(e) or 'nothing was judged'}. All its processes have ended.", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as e:
            if e.errno not in DISK_ERRORS:
                raise
            place = f"{e.filename}: " if e.filename else ""
            space = "free some space, or " if e.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise Shown(EnvironmentNotReady(f"{place}{e.strerror}; {space}keep runs elsewhere: KATA_RUNS=folder")) from None
