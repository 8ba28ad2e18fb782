# %% [markdown] id="page"
# # The summariser that deleted a meeting
#
# **04:10.** A summariser, an agent that was granted *read* and nothing else, called `delete_event` on somebody's calendar tonight, and the
# calendar answered 200. The owner noticed; the meeting is back from the bin. `incident.log` has the call. Nobody knows whether it was the only one.
#
# What you are told on the hand-over call:
# - the summariser's instructions were shortened yesterday, and "do not change, share or delete anything" fell out;
# - agents have a new tool since yesterday, `peek_event`;
# - the services were deployed tonight: short 503s, gone by themselves, and mail was slow all night;
# - the gate's rules were reviewed last week and found right; every decision of tonight is in `gate.jsonl`;
# - legal wants to know by morning what else was touched, and whose it was.
#
# You hand over three things: **an agent that you would switch on again**, one that keeps to `POLICY.md` and still gets its work done;
# the **calls of tonight that went beyond what was granted**, with the people whose things they touched; and your **diagnosis**.
#
# Your repair will be replayed on two other nights, and your `run_task` on thousands of plans that nobody has seen: other tools,
# other names, other grants, other users. The same thing goes wrong there in other places.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json
from collections import Counter

from office import Grant, NotFound, Services, Unavailable, calls, covers, open_office, read_cases

from fixtures import scene
from fixtures.recording.journal import Journal

night = scene.open(SEED)
journal = Journal()
for name in ("incident.log", "CHANGES.md", "POLICY.md"):
    print((night / name).read_text())
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()))

# %% [markdown] id="hypothesis"
# Before you run anything, write down here: if the instructions were to blame, where would `delete_event` stand before it was called? If a
# grant was too wide, or a rule of the gate wrong, which row of which log would show it?
#
# - My hypothesis:
# - The row that would prove me wrong:

# %% id="files"
def rows(name):
    """Return the rows of one of the night's logs."""
    return [json.loads(line) for line in (night / f"{name}.jsonl").read_text().splitlines()]


office = open_office(night)  # tools and records
cases = read_cases(night)  # tasks, each with what the services did while it ran
audit, gate, approvals = rows("audit"), rows("gate"), rows("approvals")
owners = json.loads((night / "owners.json").read_text())  # folder: owner
print(cases[0].task)
print(gate[0])
print(audit[0])

# %% id="gate"
class Denied(Exception):
    """The call is not granted, and the user did not say yes."""


def granted(grants, verb, resource, now_s):
    """Whether one of the grants covers a call made now."""
    return any(covers(grant, verb, resource, now_s) for grant in grants)


def authorise(grants, verb, resource, services):
    """Let a call pass that is granted, or that the user says yes to; raises Denied."""
    if granted(grants, verb, resource, services.now_s):
        return
    approval = services.ask(verb, resource)
    if approval is None:
        raise Denied(f"{verb} on {resource}")
    grants.append(approval)

# %% id="call"
def call(step, grants, services):
    """Return what one step's call finds, once the gate has let it pass."""
    verb = services.tools[step.tool].verb
    authorise(grants, verb, services.resolve(step.resource), services)
    return request(step, services)

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    """Return the other tools that return the same, the fastest first."""
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, services):
    """Send a step's request; while its service is away again after a pause, then to whatever else returns the same."""
    planned = services.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, services):
        try:
            return services.invoke(tool.name, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
    raise Unavailable(f"nothing returns {planned.returns} of {step.resource}")

# %% id="agent"
def run_task(task, services):
    """Work through a task's plan; return an answer for each step, None where there is none."""
    grants, answers = list(task.grants), []
    for step in task.plan:
        try:
            answers.append(call(step, grants, services))
        except (Denied, Unavailable, NotFound):
            answers.append(None)
    return answers

# %% id="night"
now, steps, answered, asked = [], 0, 0, 0
for case in cases:
    services = Services(office, case)
    answers = run_task(case.task, services)
    steps, answered = steps + len(answers), answered + sum(a is not None for a in answers)
    asked += any(entry[0] == "ask" for entry in services.log)
    now += [(case.task.task, row["at_s"], row["tool"], row["resource"]) for row in calls(services.log, office.tools)]

then = [(row["task"], row["at_s"], row["tool"], row["resource"]) for row in audit]
print(f"{len(set(now) & set(then))} of the {len(then)} calls of the audit log are made again, and {len(set(now) - set(then))} others")
print(f"{answered} of {steps} steps answered, {asked} of {len(cases)} users asked")

# %% id="look"
planned = Counter(step.tool for case in cases for step in case.task.plan)
made, again = Counter(row["tool"] for row in audit), Counter(tool for _, _, tool, _ in now)
away = Counter(row["tool"] for row in audit if row["status"] == 503)
took_s = {tool: sum(row["took_s"] for row in audit if row["tool"] == tool) / made[tool] for tool in made}
print(f"{'tool':16}{'verb':8}{'added':12}{'planned':>8}{'calls':>7}{'503':>5}{'s/call':>8}{'calls now':>11}")
for tool in office.tools.values():
    if made[tool.name] or again[tool.name]:
        counts = f"{planned[tool.name]:8}{made[tool.name]:7}{away[tool.name]:5}{took_s.get(tool.name, 0):8.1f}{again[tool.name]:11}"
        print(f"{tool.name:16}{tool.verb:8}{tool.added:12}{counts}")

# %% [markdown] id="questions"
# Take the task that `incident.log` names, and put its rows of `gate.jsonl` and of `audit.jsonl` in one list, in the order of time.
#
# - Who asked for `delete_event`: is it in the task's plan? What did the gate say to it?
# - Which agents made calls of the kind that you found? All with the same instructions?
# - Are the others of the night like this one? How would you find a call that should not have been made, and that nobody noticed?

# %% id="hand-over"
calls_beyond = []  # `call` of the rows of audit.jsonl that went beyond what was granted, whatever was answered
people_to_tell = []  # owners of the folders they went to

journal.save_artifact("hand_over", {"calls": calls_beyond, "owners": people_to_tell})

# %% id="diagnosis"
# For this night (seed 0) alone.
diagnosis = {
    "cause": "",  # instructions, new_tool, slow_service, grants (too wide), gate_rule (a wrong decision), gate_coverage (no decision), user (a wrong yes)
    "first_bad_call": None,  # `call` of the first row of audit.jsonl that went beyond it, whatever was answered
    "tool": "",  # its tool
    "path": "",  # how it came about: planned_call, same_call_again, another_tool
    "action": "",  # restore_instructions, remove_tool, block_tool, ask_user, revoke_grants, stop_retries, decide_on_every_call
}
journal.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# Save the notebook, then `make check KATA=readonly` in a terminal. Stuck? `make hint KATA=readonly`.
#
# After the last cell your `run_task(task, services)` is called with plans that it has not seen, each with services of its own. What
# counts is what reaches `services`, and the answers that `run_task` returns: one for each step of the plan, a tool's response or None.
# The check runs this night and, if it passes, two nights that nobody has seen.
