# The summariser is told again that it only reads.

# %% id="agent"
INSTRUCTIONS = (night / "archive" / "instructions-13.md").read_text()


def run_task(task, services):
    told = INSTRUCTIONS if task.agent == "summariser" else ""
    grants, answers = list(task.grants), []
    for step in task.plan:
        try:
            answers.append(call(step, grants, services))
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
