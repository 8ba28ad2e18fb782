import pytest

from harness.ui import doctor
from harness.ui.doctor import examine_machine


def found(what):
    return next(f for f in examine_machine() if f.what == what)


def test_this_machine_can_run_the_lab():
    assert [f for f in examine_machine() if f.state == "missing"] == []


def test_another_torch_than_the_calibrated_one_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "2.14.1+cpu")

    assert (found("torch").state, found("torch").remedy) == (
        "worse",
        "thresholds are calibrated for torch==2.13.0: pip install torch==2.13.0",
    )


def test_a_machine_without_bubblewrap_gets_the_package_name(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert found("bubblewrap").state == "worse"
    assert "apt-get install bubblewrap" in found("bubblewrap").remedy


def test_runs_that_cannot_be_written_have_a_remedy(monkeypatch):
    monkeypatch.setenv("KATA_RUNS", "/dev/null/runs")
    monkeypatch.setattr("os.access", lambda path, mode: False)

    assert (found("runs").state, found("runs").remedy) == ("missing", "keep runs elsewhere: KATA_RUNS=folder")


@pytest.mark.parametrize("cores", [1, 2])
def test_fewer_than_two_cores_are_a_finding(monkeypatch, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))

    assert found("cores").state == ("ok" if cores == 2 else "worse")
