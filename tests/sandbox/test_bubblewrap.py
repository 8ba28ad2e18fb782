import os
import stat
import time

import pytest

from harness.sandbox.bubblewrap import Workspace, find_sandbox


@pytest.fixture
def fake_bwrap(tmp_path, monkeypatch):
    """A bubblewrap that a host refuses."""
    path = tmp_path / "bin" / "bwrap"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_a_host_that_refuses_namespaces_is_unsandboxed_with_a_remedy(fake_bwrap):
    sandbox = find_sandbox()

    assert not sandbox.sandboxed
    assert "No permissions to create new namespace" in sandbox.why_not
    assert "kernel.unprivileged_userns_clone=1" in sandbox.why_not


def test_a_machine_without_bubblewrap_is_told_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_sandbox().why_not == "bubblewrap is not installed; on Debian or Ubuntu: apt-get install bubblewrap"


def test_the_cage_can_be_left_off_by_name(monkeypatch):
    monkeypatch.setenv("KATA_UNSANDBOXED", "1")

    assert not find_sandbox().sandboxed


def test_what_a_killed_harness_left_is_removed_after_a_day(runs):
    for name, age_s in ((".stage-old", 2 * 86400), (".stage-new", 60)):
        (runs / name / "0").mkdir(parents=True)
        os.utime(runs / name, (time.time() - age_s,) * 2)

    Workspace().close()

    assert [folder.name for folder in runs.iterdir()] == [".stage-new"]
