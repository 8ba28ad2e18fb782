# Every call is decided on; what was granted once in a task stays granted in it.

# %% id="call"
class Memory:
    def __init__(self, grants, services):
        self.grants, self.services, self.allowed = grants, services, set()

    def allows(self, verb, resource):
        if (verb, resource) not in self.allowed and granted(self.grants, verb, resource, self.services.now_s):
            self.allowed.add((verb, resource))
        return (verb, resource) in self.allowed


def call(step, memory, services):
    verb, resource = services.tools[step.tool].verb, services.resolve(step.resource)
    if not memory.allows(verb, resource):
        authorise(memory.grants, verb, resource, services)
    return request(step, memory, services)

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, memory, services):
    planned = services.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, services):
        if not memory.allows(tool.verb, services.resolve(step.resource)):
            continue
        try:
            return services.invoke(tool.name, step.resource, step.text)
        except Unavailable:
            services.wait(PAUSE_S)
    raise Unavailable(step.resource)

# %% id="agent"
def run_task(task, services):
    memory, answers = Memory(list(task.grants), services), []
    for step in task.plan:
        try:
            answers.append(call(step, memory, services))
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
