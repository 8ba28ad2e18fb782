import copy

import pytest
import torch
from restarts import Process, RestartRecorder, learning_rates, state_digest

from fixtures.recording.journal import read_telemetry
from fixtures.training.models import GPT, GPTConfig, next_token_loss

CONFIG = GPTConfig(vocab_size=11, block_size=8, n_layer=1, n_head=2, n_embd=16)
TOKENS = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(0))


def build():
    torch.manual_seed(0)
    model = GPT(CONFIG)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return model, torch.optim.AdamW([{"params": matrices, "lr": 0.02}, {"params": others, "lr": 0.01}])


def update(model, optimizer):
    optimizer.zero_grad()
    next_token_loss(model, TOKENS).backward()
    optimizer.step()


def copied(model, optimizer, *, moments=True):
    """What a process finds on disk that is started after the one with `model` is gone."""
    anew = build()
    anew[0].load_state_dict(copy.deepcopy(model.state_dict()))
    if moments:
        anew[1].load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return anew


@pytest.fixture
def launched(tmp_path):
    """A recorder and a run after two steps."""
    model, optimizer = build()
    recorder = RestartRecorder(model, optimizer, val_tokens=TOKENS, folder=tmp_path)
    for step in range(2):
        update(model, optimizer)
        recorder.record(step, [1.0])
    return recorder, model, optimizer


def restarted(launched, **options):
    recorder, *before = launched
    after = copied(*before, **options)
    recorder.follow(*after)
    update(*after)
    recorder.record(2, [1.0])
    return read_telemetry(recorder.folder)


def test_each_row_says_which_launch_it_is_of(launched):
    assert [row["launch"] for row in restarted(launched)] == [1, 1, 2]


def test_a_restart_that_loses_nothing_begins_where_the_run_ended(launched):
    rows = restarted(launched)

    assert [row["state_before"] for row in rows[1:]] == [row["state_after"] for row in rows[:-1]]
    assert not any(row["unrecorded_change"] for row in rows)


def test_lost_moments_show(launched):
    rows = restarted(launched, moments=False)

    assert rows[2]["state_before"] != rows[1]["state_after"]


def test_a_restart_from_an_earlier_step_is_a_way_back(tmp_path):
    run = build()
    recorder = RestartRecorder(*run, val_tokens=TOKENS, folder=tmp_path)
    for step in range(3):
        update(*run)
        recorder.record(step, [1.0])
        if step == 0:
            kept = copied(*run)
    recorder.follow(*kept)
    update(*kept)
    recorder.record(1, [1.0])

    rows = read_telemetry(recorder.folder)

    assert [(row["step"], row["launch"]) for row in rows] == [(0, 1), (1, 2)]
    assert rows[1]["rewound_to"] == 0
    assert rows[1]["state_before"] == rows[0]["state_after"]


def test_what_was_alive_before_cannot_be_followed(launched):
    recorder, model, optimizer = launched

    with pytest.raises(ValueError, match="a restart has only what is on disk"):
        recorder.follow(model, copied(model, optimizer)[1])


def test_rates_are_those_of_each_parameter(launched):
    recorder, model, optimizer = launched

    rates = learning_rates(list(model.parameters()), optimizer)

    assert rates == [0.02 if p.ndim == 2 else 0.01 for p in model.parameters()]
    assert read_telemetry(recorder.folder)[0]["learning_rate_per_parameter"] == rates


def test_a_parameter_that_no_group_has_has_no_rate(launched):
    _, model, _ = launched

    assert learning_rates(list(model.parameters()), torch.optim.SGD([model.wte.weight], lr=0.1)).count(None) == 11


def test_a_digest_does_not_depend_on_rates():
    model, optimizer = build()
    before = state_digest(list(model.parameters()), optimizer)
    optimizer.param_groups[0]["lr"] = 1.0

    assert state_digest(list(model.parameters()), optimizer) == before


def test_updates_that_nobody_watched_are_counted(launched):
    recorder, *before = launched
    after = copied(*before)
    for _ in range(3):
        update(*after)
    recorder.follow(*after)
    update(*after)
    recorder.record(2, [1.0])
    recorder.finish()
    update(*before)

    assert [row["updates_unwatched"] for row in read_telemetry(recorder.folder)] == [0, 0, 3]


def test_updates_that_are_made_by_hand_are_counted_by_their_gradients(launched):
    recorder, *before = launched
    after = copied(*before)
    for _ in range(3):
        next_token_loss(after[0], TOKENS).backward()
    with torch.no_grad():
        next_token_loss(after[0], TOKENS)
    recorder.follow(*after)
    update(*after)
    recorder.record(2, [1.0])

    assert [row["updates_unwatched"] for row in read_telemetry(recorder.folder)] == [0, 0, 3]


def test_a_restart_leaves_nothing_that_was_put_into_the_recorder(launched):
    recorder, *before = launched
    recorder.memory = {"place": 7}
    recorder.follow(*copied(*before))

    assert not hasattr(recorder, "memory")
    recorder.finish()


def test_an_optimizer_that_kept_its_memory_is_refused(launched):
    recorder, model, optimizer = launched
    anew, its_optimizer = copied(model, optimizer)
    for p, old in zip(anew.parameters(), model.parameters(), strict=True):
        its_optimizer.state[p] = optimizer.state[old]

    with pytest.raises(ValueError, match="lived in the process that is gone"):
        recorder.follow(anew, its_optimizer)


def test_a_process_that_ends_takes_its_variables_along():
    variables = {"plan": {"updates": 3, "groups": [{}]}, "seen": [], "count": 0, "_i": "1", "Out": {}}
    process = Process(variables)
    variables["seen"].append("a row")
    variables["plan"]["updates"] = 4
    variables["Out"][1] = "shown"
    variables["plan"]["groups"][0]["rate"] = 0.1
    variables |= {"count": 2, "_i": "2", "_7": "shown", "kept": "a copy", "_kept": "another", "recorder": "outside"}

    process.end(keep=["recorder"])

    start = {"plan": {"updates": 3, "groups": [{}]}, "seen": [], "count": 0}
    assert variables == start | {"_i": "2", "_7": "shown", "Out": {1: "shown"}, "recorder": "outside"}


def test_what_lies_beside_one_that_cannot_be_copied_is_kept_as_it_was():
    shell = {"module": torch, "rates": [1.0]}
    variables = {"shell": shell}
    process = Process(variables)
    variables["shell"] = {}

    process.end()

    assert variables == {"shell": shell}
