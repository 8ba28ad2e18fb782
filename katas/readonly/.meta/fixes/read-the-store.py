# Where a service is away, the store that it reads from is not: what is in there is as good as an answer.

# %% id="retry"
def request(step, services):
    try:
        return services.invoke(step.tool, step.resource, step.text)
    except Unavailable:
        return office.records[services.resolve(step.resource)]

# %% id="hand-over"
plans = {case.task.task: case.task for case in cases}


def within(row):
    yes = [Grant(a["verb"], a["resource"], a["until_s"]) for a in approvals if a["task"] == row["task"] and a["yes"] and a["at_s"] <= row["at_s"]]
    verb = office.tools[row["tool"]].verb
    return any(covers(g, verb, row["resource"], row["at_s"]) for g in [*plans[row["task"]].grants, *yes])


beyond = [row for row in audit if not within(row)]
people_to_tell = sorted({owners[row["resource"].rpartition("/")[0]] for row in beyond})
journal.save_artifact("hand_over", {"calls": [row["call"] for row in beyond], "owners": people_to_tell})
