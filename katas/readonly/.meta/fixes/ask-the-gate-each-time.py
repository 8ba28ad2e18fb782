# Whatever is about to be sent is decided on first: its tool's verb, where its name leads now, and at this time.

# %% id="call"
def call(step, grants, services):
    """Return what one step's call finds; its user may be asked about the call that was planned."""
    verb = services.tools[step.tool].verb
    authorise(grants, verb, services.resolve(step.resource), services)
    return request(step, grants, services)

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, grants, services):
    planned = services.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, services):
        if not granted(grants, tool.verb, services.resolve(step.resource), services.now_s):
            continue
        try:
            return services.invoke(tool.name, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
    raise Unavailable(f"nothing returns {planned.returns} of {step.resource}")

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
