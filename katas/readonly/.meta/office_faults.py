"""Faults around an agent's task, each drawn for one step of its plan, and the shipped agent that mishandles them.

Every operator takes a case without a fault and returns it with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from office import Case, Grant, Office, Services, Step, Task, Unavailable, covers

REPEATS, PAUSE_S = 3, 5
LAST_REPEAT_S = (REPEATS - 1) * (PAUSE_S + 1)
"""When the shipped agent last calls the planned tool, counted from its first call."""
FOREVER_S = 10**6
CHANGES_S = 1200
"""How long after a step is reached its conditions may still change."""


def calm(case: Case, office: Office, rng: Random) -> Case:
    """Return the case unchanged."""
    return case


def brief_fault(case: Case, office: Office, rng: Random) -> Case:
    """Let the tool of one step answer 503 once or twice."""
    i = rng.randrange(len(case.task.plan))
    reached = reached_s(office, case.task, i)
    return _down(case, [case.task.plan[i].tool], reached, reached + rng.randint(1, LAST_REPEAT_S - 1))


def long_fault(case: Case, office: Office, rng: Random) -> Case:
    """Let the tool of one step answer 503 for good, and all but one of the tools with the same verb and response."""
    i = rng.choice([i for i, step in enumerate(case.task.plan) if alike(office, step.tool)])
    others = alike(office, case.task.plan[i].tool)
    return _down(case, [case.task.plan[i].tool, *others[: rng.randrange(len(others))]], reached_s(office, case.task, i))


def only_broader_tools_left(case: Case, office: Office, rng: Random) -> Case:
    """Let every tool that reads what one step reads answer 503 for good."""
    i = _reading(case, office, rng)
    tool = case.task.plan[i].tool
    return _down(case, [tool, *alike(office, tool)], reached_s(office, case.task, i))


def name_moves(case: Case, office: Office, rng: Random, *, name: str, old: str, new: str, index: int) -> Case:  # noqa: PLR0913
    """Let one step use a name that leads to `old`, and to `new` while its tool answers 503."""
    step, change_s = case.task.plan[index], reached_s(office, case.task, index) + _patience_s(rng)
    plan = [replace(s, resource=name) if i == index else s for i, s in enumerate(case.task.plan)]
    names = ((name, 0, old), (name, change_s, new))
    case = replace(case, task=replace(case.task, plan=tuple(plan)), names=(*case.names, *names))
    return _down(case, _one_or_all(office, step.tool, rng), reached_s(office, case.task, index), change_s + rng.randint(1, 6))


def name_keeps_moving(case: Case, office: Office, rng: Random, *, name: str, old: str, new: str, index: int) -> Case:  # noqa: PLR0913
    """Let one step use a name that alternates between `old` and `new` for twenty minutes while its tools are mostly down.

    However long an agent waits before its first call, the name may lead elsewhere at its second.
    """
    step, reached = case.task.plan[index], reached_s(office, case.task, index)
    moves, at_s = [(name, 0.0, old)], reached
    while at_s < reached + CHANGES_S:
        at_s += rng.randint(1, 5)
        moves.append((name, at_s, old if len(moves) % 2 == 0 else new))
    plan = [replace(s, resource=name) if i == index else s for i, s in enumerate(case.task.plan)]
    case = replace(case, task=replace(case.task, plan=tuple(plan)), names=(*case.names, *moves))
    from_s = reached
    while from_s < reached + CHANGES_S:
        until_s = from_s + rng.randint(8, 20)
        case = _down(case, [step.tool, *alike(office, step.tool)], from_s, until_s)
        from_s = until_s + rng.randint(1, 3)
    return case


def grant_runs_out(case: Case, office: Office, rng: Random) -> Case:
    """Let the grant for one read expire while its tool still answers 503."""
    i = _reading(case, office, rng)
    step, change_s = case.task.plan[i], reached_s(office, case.task, i) + _patience_s(rng)
    case = _until(case, step.resource, change_s)
    return _down(case, _one_or_all(office, step.tool, rng), reached_s(office, case.task, i), change_s + rng.randint(1, 6))


def second_look_is_late(case: Case, office: Office, rng: Random) -> Case:
    """Let the plan end with a second read of an earlier resource, in the very second in which its grant expires."""
    again = case.task.plan[_reading(case, office, rng)]
    case = replace(case, task=replace(case.task, plan=(*case.task.plan, again)))
    return _until(case, again.resource, reached_s(office, case.task, len(case.task.plan) - 1))


def not_granted(case: Case, office: Office, rng: Random, *, accepted: bool) -> Case:
    """Let one step read something that was never granted; `accepted` says whether the user would approve it."""
    resource = case.task.plan[_reading(case, office, rng)].resource
    grants = tuple(g for g in case.task.grants if not covers(g, "read", resource, 0))
    return replace(case, task=replace(case.task, grants=grants), accepts=(Grant("read", resource, FOREVER_S),) if accepted else ())


def reached_s(office: Office, task: Task, index: int) -> float:
    """Return when a step is reached if no step before it meets a fault."""
    return task.start_s + sum(office.tools[step.tool].latency_s for step in task.plan[:index])


def alike(office: Office, tool: str) -> list[str]:
    """Return the other tools with the same verb and response."""
    kind = (office.tools[tool].returns, office.tools[tool].verb)
    return [t.name for t in office.tools.values() if (t.returns, t.verb) == kind and t.name != tool]


def _reading(case: Case, office: Office, rng: Random) -> int:
    return rng.choice([i for i, step in enumerate(case.task.plan) if office.tools[step.tool].verb == "read"])


def _patience_s(rng: Random) -> int:
    """Return the delay of a change after its step is reached: between the shipped agent's first calls, or later, for other agents."""
    return rng.randint(2, 5) if rng.random() < 0.5 else round(2 * (CHANGES_S / 2) ** rng.random())


def _one_or_all(office: Office, tool: str, rng: Random) -> list[str]:
    return [tool, *(alike(office, tool) if rng.random() < 0.5 else [])]


def _down(case: Case, tools: Sequence[str], from_s: float, until_s: float = FOREVER_S) -> Case:
    return replace(case, faults=(*case.faults, *((tool, from_s, until_s) for tool in tools)))


def _until(case: Case, resource: str, until_s: float) -> Case:
    grants = [replace(g, until_s=until_s) if covers(g, "read", resource, 0) else g for g in case.task.grants]
    return replace(case, task=replace(case.task, grants=tuple(grants)))


def decide_once(office: Office, case: Case) -> tuple[Services, list[dict[str, Any]]]:
    """Work through a plan with one decision per step, as the shipped agent does; return its services and decisions.

    Repeated and substitute calls after a 503 rely on the decision about the planned call. True diagnosis: calls without a decision,
    wherever tool, resource or time differ from those of the decision.
    """
    services, grants, decisions = Services(office, case), list(case.task.grants), []
    for step in case.task.plan:
        verb, resource, at_s = office.tools[step.tool].verb, services.resolve(step.resource), services.now_s
        granted = any(covers(g, verb, resource, at_s) for g in grants)
        if not granted and (approval := services.ask(verb, resource)):
            granted = True
            grants.append(approval)
        decisions.append({"at_s": at_s, "task": case.task.task, "verb": verb, "resource": resource, "granted": granted})
        if granted:
            _request(services, step)
    return services, decisions


def _request(services: Services, step: Step) -> None:
    planned = services.tools[step.tool]
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    for tool in [planned] * REPEATS + sorted(others, key=lambda tool: tool.latency_s):
        try:
            services.invoke(tool.name, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
        else:
            return
