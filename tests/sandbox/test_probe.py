"""What is asked in turn: the next record is there when the last is answered, and an answer that was given stays."""

import json
import socket
import threading

import pytest

from fixtures.probing import take_turns
from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.preflight import Preflight
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.course.submission import submit
from harness.sandbox.probe import FOLDER, Turns

SEQUENCES = [[1, 2, 3], [{"a": [1.5, None]}], []]


@pytest.fixture
def asked(tmp_path):
    """Questions, and the folder that the kernel sees."""
    (tmp_path / FOLDER).mkdir()
    for n, records in enumerate(SEQUENCES):
        (tmp_path / FOLDER / f"{n:02d}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (tmp_path / "inputs").mkdir()
    turns = Turns(tmp_path / FOLDER, tmp_path / "inputs" / f"{FOLDER}.json")
    yield turns, tmp_path / "inputs"
    turns.close()


def test_each_sequence_has_somebody_of_its_own_who_answers_its_records(asked):
    turns, inputs = asked

    def begin():
        seen = []
        return lambda record: [seen.append(record), len(seen), record][1:]

    take_turns(inputs, begin)
    turns.close()

    assert turns.answers == [[[1, 1], [2, 2], [3, 3]], [[1, {"a": [1.5, None]}]], []]


def test_a_record_is_not_sent_before_the_last_is_answered(asked):
    turns, inputs = asked
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(json.loads((inputs / f"{FOLDER}.json").read_text()))
        kernel.settimeout(0.3)
        assert json.loads(kernel.recv(10_000))["record"] == 1
        with pytest.raises(TimeoutError):
            kernel.recv(10_000)
        kernel.sendall(b"true\n")
        assert json.loads(kernel.recv(10_000)) == {"sequence": 0, "position": 1, "record": 2}

    turns.close()
    assert turns.answers == [[True]]


@pytest.mark.parametrize("answer", [b"no json\n", b"[" * 5000 + b"\n", b"1" * 10_000, b""])
def test_what_is_no_answer_ends_the_questions(asked, answer):
    turns, inputs = asked
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(json.loads((inputs / f"{FOLDER}.json").read_text()))
        kernel.sendall(answer)
    turns.close()

    assert turns.answers == [[]]


def test_nobody_who_comes_keeps_nobody_waiting(asked):
    turns, _ = asked
    ended = threading.Thread(target=turns.close)
    ended.start()
    ended.join(5.0)

    assert not ended.is_alive()
    assert turns.answers == []


@pytest.mark.parametrize("plant", ["write_text('[[true]]')", "mkdir()", "symlink_to('/etc/hostname')"])
def test_the_answers_stand_where_the_kernel_planted_others(asked, tmp_path, plant):
    turns, _ = asked
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    exec(f"path.{plant}", {"path": evidence / f"{FOLDER}.json"})
    turns.close()

    turns.leave(evidence)

    assert (evidence / f"{FOLDER}.json").read_text() == "[]"
    assert not (evidence / f"{FOLDER}.json").is_symlink()


PROBE = """
from fixtures.probing import take_turns


def probe(notebook, inputs):
    take_turns(inputs, lambda: notebook["double"])
    return {"files": sorted(p.name for p in inputs.rglob("*"))}
"""
SCENE = """

def inputs(seed, folder):
    (folder / "in_turn").mkdir()
    (folder / "in_turn" / "0.jsonl").write_text("".join(f"{n}\\n" for n in draw(seed)))
"""


def test_a_kernel_is_asked_in_turn_and_has_no_file_of_what_comes(toys, kernels, monkeypatch):
    doubles = load_kata(toys / "doubles")
    doubles.probe.write_text(PROBE)
    with (doubles.meta / "scene.py").open("a") as scene:
        scene.write(SCENE)
    monkeypatch.setattr(Preflight, "failure", lambda self, judge, broken: "")
    shipped = authored(doubles)
    body = "import numpy as np\n\ndef double(n):\n    return np.int64(2 * n)"
    submission = submit(doubles, shipped, apply_fix(shipped, {"double": body}, doubles.notebook), "x.ipynb")

    evidence = attempt(doubles, submission, RunContext(kernels), seed=0).folder / "seed-0" / "evidence"

    (answers,) = json.loads((evidence / "in_turn.json").read_text())
    assert len(answers) == 8 and all(n % 2 == 0 for n in answers)
    assert set(json.loads((evidence / "probe.json").read_text())["files"]) <= {"in_turn.json", "in_turn.socket"}
