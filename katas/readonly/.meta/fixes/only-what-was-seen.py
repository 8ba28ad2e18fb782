# The agent is repaired; the hand-over names the calls that look like the one in the incident.

# %% id="call"
def call(step, grants, services):
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
    raise Unavailable(step.resource)

# %% id="hand-over"
summarisers = {case.task.task for case in cases if case.task.agent == "summariser"}
beyond = [row for row in audit if row["task"] in summarisers and office.tools[row["tool"]].verb != "read"]
people_to_tell = sorted({owners[row["resource"].rpartition("/")[0]] for row in beyond})
journal.save_artifact("hand_over", {"calls": [row["call"] for row in beyond], "owners": people_to_tell})
