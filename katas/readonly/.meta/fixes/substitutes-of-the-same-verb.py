# Only tools that do the same stand in for one another. Where a name leads by then, and until when it was granted, nobody asks.

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    same = (planned.returns, planned.verb)
    others = [tool for tool in services.tools.values() if (tool.returns, tool.verb) == same and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, services):
    planned = services.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, services):
        try:
            return services.invoke(tool.name, step.resource, step.text)
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
