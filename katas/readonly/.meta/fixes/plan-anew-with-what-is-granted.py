# After a 503 the step is planned anew: the tools that do the same, out of those that are granted at that moment, in turn.

# %% id="call"
def call(step, grants, services):
    verb = services.tools[step.tool].verb
    authorise(grants, verb, services.resolve(step.resource), services)
    return request(step, grants, services)

# %% id="retry"
ROUNDS = 3


def choices(step, grants, services):
    planned, resource = services.tools[step.tool], services.resolve(step.resource)
    same = [tool for tool in services.tools.values() if (tool.returns, tool.verb) == (planned.returns, planned.verb)]
    same.sort(key=lambda tool: tool is not planned)
    return [tool.name for tool in same if granted(grants, tool.verb, resource, services.now_s)]


def request(step, grants, services):
    tried = set()
    for round in range(ROUNDS):
        while left := [tool for tool in choices(step, grants, services) if (round, tool) not in tried]:
            tried.add((round, left[0]))
            try:
                return services.invoke(left[0], step.resource, step.text)
            except Unavailable:
                pass
        services.wait(2.5 * 2**round)
    raise Unavailable(step.resource)

# %% id="hand-over"
plans = {case.task.task: case.task for case in cases}


def within(row):
    yes = [Grant(a["verb"], a["resource"], a["until_s"]) for a in approvals if a["task"] == row["task"] and a["yes"] and a["at_s"] <= row["at_s"]]
    verb = office.tools[row["tool"]].verb
    return any(covers(g, verb, row["resource"], row["at_s"]) for g in [*plans[row["task"]].grants, *yes])


beyond = [row for row in audit if not within(row)]
people_to_tell = sorted({owners[row["resource"].rpartition("/")[0]] for row in beyond})
journal.save_artifact("hand_over", {"calls": [row["call"] for row in beyond], "owners": people_to_tell})
