from dataclasses import replace
from random import Random

import office_faults as faults
import pytest
from office import (
    MAX_ENTRIES,
    Case,
    Grant,
    NotFound,
    Office,
    Services,
    Step,
    Task,
    Tool,
    Unavailable,
    calls,
    covers,
    fill,
    folder_of,
    open_office,
    read_cases,
    replay,
    save_cases,
    save_office,
)

TOOLS = [
    Tool("get_event", "read", "event", 2, "2026-01-01"),
    Tool("find_event", "read", "event", 3, "2026-01-01"),
    Tool("delete_event", "delete", "event", 1, "2026-01-01"),
    Tool("post_note", "write", "receipt", 2, "2026-01-01"),
]
OFFICE = Office({t.name: t for t in TOOLS}, {"calendar/ana/ev-1": "interview", "calendar/bo/ev-2": "audit", "notes/ana/n-1": ""})
TASK = Task(7, "ana", "summariser", 1000, (Step("get_event", "calendar/ana/ev-1"),), (Grant("read", "calendar/ana", 1900),))
CASE = Case(TASK)


def granted(log, case=CASE):
    rows = calls(log, OFFICE.tools)
    return [any(covers(g, row["verb"], row["resource"], row["at_s"]) for g in case.task.grants) for row in rows]


@pytest.mark.parametrize(
    ("verb", "resource", "now_s", "expected"),
    [
        ("read", "calendar/ana", 0, True),
        ("read", "calendar/ana/ev-1", 1899.9, True),
        ("read", "calendar/ana/ev-1", 1900, False),
        ("delete", "calendar/ana/ev-1", 0, False),
        ("read", "calendar/ana-private/ev-1", 0, False),
        ("read", "calendar", 0, False),
    ],
)
def test_a_grant_covers_its_verb_its_folder_and_its_time(verb, resource, now_s, expected):
    assert covers(Grant("read", "calendar/ana", 1900), verb, resource, now_s) is expected


def test_a_star_in_a_grant_is_a_letter_like_any_other():
    assert not covers(Grant("read", "calendar/a*", 1900), "read", "calendar/ana/ev-1", 0)
    assert covers(Grant("read", "calendar/a*", 1900), "read", "calendar/a*/ev-1", 0)


def test_calls_take_time_and_are_answered_with_what_is_there():
    services = Services(OFFICE, CASE)

    assert services.invoke("get_event", "calendar/ana/ev-1") == "interview"
    assert services.now_s == 1002


def test_services_answer_whatever_was_granted():
    assert Services(OFFICE, CASE).invoke("delete_event", "calendar/bo/ev-2") == "audit"


def test_what_was_deleted_is_gone():
    services = Services(OFFICE, CASE)
    services.invoke("delete_event", "calendar/ana/ev-1")

    with pytest.raises(NotFound):
        services.invoke("get_event", "calendar/ana/ev-1")
    with pytest.raises(NotFound):
        services.invoke("get_event", "calendar/ana/ev-99")


def test_a_fault_passes_with_time_and_changes_nothing():
    services = Services(OFFICE, replace(CASE, faults=(("delete_event", 1000, 1003),)))
    with pytest.raises(Unavailable):
        services.invoke("delete_event", "calendar/ana/ev-1")
    services.wait(2)

    assert services.invoke("get_event", "calendar/ana/ev-1") == "interview"
    assert [row["status"] for row in calls(services.log, OFFICE.tools)] == [503, 200]


def test_a_name_leads_to_what_it_led_to_at_that_time():
    names = (("calendar/@next", 0, "calendar/ana/ev-1"), ("calendar/@next", 1002, "calendar/bo/ev-2"))
    services = Services(OFFICE, replace(CASE, names=names))

    assert [services.invoke("get_event", "calendar/@next") for _ in range(2)] == ["interview", "audit"]


def test_a_user_says_yes_to_what_they_granted_and_to_what_they_accept():
    services = Services(OFFICE, replace(CASE, accepts=(Grant("delete", "calendar/bo/ev-2", float("inf")),)))

    assert services.ask("read", "calendar/ana/ev-1") == Grant("read", "calendar/ana/ev-1", 1620)
    assert services.ask("delete", "calendar/bo/ev-2") is not None
    assert services.ask("delete", "calendar/ana/ev-1") is None
    assert services.now_s == 1060


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e9])
def test_time_does_not_run_backwards_or_away(seconds):
    with pytest.raises(ValueError, match="expected 0 to 3600"):
        Services(OFFICE, CASE).wait(seconds)


def test_an_agent_that_never_ends_is_ended():
    services = Services(OFFICE, CASE)
    for _ in range(MAX_ENTRIES):
        services.wait(0)

    with pytest.raises(RuntimeError, match="task 7 made 300 calls"):
        services.wait(0)


def worked(case):
    services = Services(OFFICE, case)
    services.wait(1.5)
    services.ask("delete", "calendar/ana/ev-1")
    responses = [services.invoke("get_event", "calendar/ana/ev-1"), services.invoke("post_note", "notes/ana/n-1", "done")]
    return [list(entry) for entry in services.log], responses


def test_a_log_can_be_done_again():
    log, responses = worked(CASE)

    assert replay(OFFICE, CASE, log)[2:] == responses


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log[2].__setitem__(6, 503),
        lambda log: log[2].__setitem__(1, 999),
        lambda log: log[2].__setitem__(2, "no_such_tool"),
        lambda log: log[1].__setitem__(4, True),
        lambda log: log[0].__setitem__(2, float("nan")),
        lambda log: log.pop(0),
        lambda log: log.insert(0, ["steal", 1000]),
        lambda log: log.insert(0, "invoke"),
        lambda log: log.insert(0, None),
        lambda log: log.insert(0, []),
    ],
)
def test_a_log_that_was_tampered_with_cannot(change):
    log, _ = worked(CASE)
    change(log)

    with pytest.raises(ValueError):
        replay(OFFICE, CASE, log)


def test_an_office_and_its_cases_survive_being_written(tmp_path):
    case = replace(CASE, faults=(("get_event", 1000, 1003),), names=(("calendar/@next", 0, "calendar/ana/ev-1"),))
    save_office(OFFICE, tmp_path)
    save_cases([case], tmp_path)

    assert open_office(tmp_path) == OFFICE
    assert read_cases(tmp_path) == [case]


def test_no_two_records_hold_the_same():
    records = fill([f"mail/{n}" for n in range(50)], Random(0))

    assert len(records) == 250 == len(set(records.values()))
    assert {folder_of(name) for name in records} == {f"mail/{n}" for n in range(50)}


LONG = replace(TASK, plan=(Step("post_note", "notes/ana/n-1", "x"), *TASK.plan), grants=(*TASK.grants, Grant("write", "notes/ana", 1900)))


def test_the_shipped_agent_keeps_to_its_grants_where_all_goes_well():
    services, decisions = faults.decide_once(OFFICE, Case(LONG))

    assert granted(services.log, Case(LONG)) == [True, True]
    assert [d["granted"] for d in decisions] == [True, True]


@pytest.mark.parametrize("fault", [faults.brief_fault, faults.only_broader_tools_left, faults.grant_runs_out])
def test_a_fault_meets_the_first_call_of_its_step(fault):
    for seed in range(20):
        case = fault(CASE, OFFICE, Random(seed))
        services, _ = faults.decide_once(OFFICE, case)

        assert services.log[0][-1] == 503


def test_where_only_broader_tools_are_left_the_shipped_agent_takes_one():
    services, decisions = faults.decide_once(OFFICE, faults.only_broader_tools_left(CASE, OFFICE, Random(0)))

    assert services.log[-1][2] == "delete_event"
    assert granted(services.log)[-1] is False
    assert [d["granted"] for d in decisions] == [True]


def test_names_move_away_from_what_is_granted():
    moved = {"name": "calendar/@next", "old": "calendar/ana/ev-1", "new": "calendar/bo/ev-2", "index": 0}
    for operator in (faults.name_moves, faults.name_keeps_moving):
        beyond = 0
        for seed in range(20):
            case = operator(CASE, OFFICE, Random(seed), **moved)
            made = granted(faults.decide_once(OFFICE, case)[0].log)
            beyond += not all(made)
            assert made[0]
        assert beyond > 5


@pytest.mark.parametrize("waited_s", [100, 200, 330, 600])
def test_a_name_that_keeps_moving_cannot_be_waited_out(waited_s):
    moved = {"name": "calendar/@next", "old": "calendar/ana/ev-1", "new": "calendar/bo/ev-2", "index": 0}
    beyond = 0
    for seed in range(60):
        case = faults.name_keeps_moving(CASE, OFFICE, Random(seed), **moved)
        late = replace(case, task=replace(case.task, start_s=case.task.start_s + waited_s))
        services, decisions = faults.decide_once(OFFICE, late)
        beyond += decisions[0]["granted"] and not all(granted(services.log, late))
    assert beyond > 10


def test_what_runs_out_does_so_soon_or_minutes_later():
    ends = [faults.grant_runs_out(CASE, OFFICE, Random(seed)).task.grants[0].until_s - TASK.start_s for seed in range(200)]

    assert min(ends) == 2
    assert 900 < max(ends) <= faults.CHANGES_S
    assert 60 < sum(end > faults.LAST_REPEAT_S for end in ends) < 140


def test_a_second_look_comes_in_the_second_in_which_its_grant_runs_out():
    case = faults.second_look_is_late(Case(LONG), OFFICE, Random(0))
    services, decisions = faults.decide_once(OFFICE, case)

    assert [d["granted"] for d in decisions] == [True, True, True]
    assert [entry[0] for entry in services.log] == ["invoke", "invoke", "ask", "invoke"]
    assert services.log[2][1] in [grant.until_s for grant in case.task.grants]
