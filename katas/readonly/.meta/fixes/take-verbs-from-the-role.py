# What an agent may do is a matter of its role, what it may touch a matter of its grants; both are looked at before each call.

# %% id="gate"
class Denied(Exception):
    pass


ROLES = {"summariser": {"read"}, "secretary": {"read", "write", "share"}, "triager": {"read", "write", "share"}, "tidier": {"read", "write", "delete"}}


def granted(task, grants, verb, resource, now_s):
    return verb in ROLES[task.agent] and any(covers(grant, grant.verb, resource, now_s) for grant in grants)

# %% id="call"
def call(task, step, grants, services):
    verb, resource = services.tools[step.tool].verb, services.resolve(step.resource)
    if not granted(task, grants, verb, resource, services.now_s):
        approval = services.ask(verb, resource)
        if approval is None:
            raise Denied(resource)
        grants.append(approval)
    return request(task, step, grants, services)

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    same = (planned.returns, planned.verb)
    return [tool for tool in services.tools.values() if (tool.returns, tool.verb) == same and tool is not planned]


def request(task, step, grants, services):
    planned = services.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, services) * 2:
        if not granted(task, grants, tool.verb, services.resolve(step.resource), services.now_s):
            continue
        try:
            return services.invoke(tool.name, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
    raise Unavailable(step.resource)

# %% id="agent"
def run_task(task, services):
    grants, answers = list(task.grants), []
    for step in task.plan:
        try:
            answers.append(call(task, step, grants, services))
        except (Denied, Unavailable, NotFound):
            answers.append(None)
    return answers

# %% id="hand-over"
plans = {case.task.task: case.task for case in cases}


def within(row):
    yes = [Grant(a["verb"], a["resource"], a["until_s"]) for a in approvals if a["task"] == row["task"] and a["yes"] and a["at_s"] <= row["at_s"]]
    verb = office.tools[row["tool"]].verb
    return any(covers(g, verb, row["resource"], row["at_s"]) for g in [*plans[row["task"]].grants, *yes])


beyond = [row for row in audit if not within(row)]
people_to_tell = sorted({owners[row["resource"].rpartition("/")[0]] for row in beyond})
journal.save_artifact("hand_over", {"calls": [row["call"] for row in beyond], "owners": people_to_tell})

# %% id="diagnosis"
first = beyond[0]
in_plan = (first["tool"], first["name"]) in {(step.tool, step.resource) for step in plans[first["task"]].plan}
journal.save_artifact(
    "diagnosis",
    {
        "cause": "gate_coverage",
        "first_bad_call": first["call"],
        "tool": first["tool"],
        "path": "same_call_again" if in_plan else "another_tool",
        "action": "decide_on_every_call",
    },
)
