# Every call is decided on, and no tool stands in for another.

# %% id="call"
def call(step, grants, services):
    verb = services.tools[step.tool].verb
    authorise(grants, verb, services.resolve(step.resource), services)
    return request(step, grants, services)

# %% id="retry"
REPEATS, PAUSE_S = 6, 5


def request(step, grants, services):
    for _ in range(REPEATS):
        if not granted(grants, services.tools[step.tool].verb, services.resolve(step.resource), services.now_s):
            break
        try:
            return services.invoke(step.tool, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
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
