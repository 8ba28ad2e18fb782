# Nothing is called again below the gate: a task that meets a 503 starts again from the top, with the next tool that is granted.

# %% id="retry"
ATTEMPTS, PAUSE_S = 6, 5


def request(step, grants, services, attempt):
    planned = services.tools[step.tool]
    same = [tool for tool in services.tools.values() if (tool.returns, tool.verb) == (planned.returns, planned.verb)]
    same.sort(key=lambda tool: tool is not planned)
    tool = same[max(0, attempt - 2) % len(same)]
    authorise(grants, tool.verb, services.resolve(step.resource), services)
    return services.invoke(tool.name, step.resource, step.text)

# %% id="agent"
def run_task(task, services):
    grants = list(task.grants)
    for attempt in range(ATTEMPTS):
        answers = []
        try:
            for step in task.plan:
                try:
                    answers.append(request(step, grants, services, attempt))
                except (Denied, NotFound):
                    answers.append(None)
            return answers
        except Unavailable:
            services.wait(PAUSE_S)
    return [None] * len(task.plan)

# %% id="hand-over"
plans = {case.task.task: case.task for case in cases}


def within(row):
    yes = [Grant(a["verb"], a["resource"], a["until_s"]) for a in approvals if a["task"] == row["task"] and a["yes"] and a["at_s"] <= row["at_s"]]
    verb = office.tools[row["tool"]].verb
    return any(covers(g, verb, row["resource"], row["at_s"]) for g in [*plans[row["task"]].grants, *yes])


beyond = [row for row in audit if not within(row)]
people_to_tell = sorted({owners[row["resource"].rpartition("/")[0]] for row in beyond})
journal.save_artifact("hand_over", {"calls": [row["call"] for row in beyond], "owners": people_to_tell})
