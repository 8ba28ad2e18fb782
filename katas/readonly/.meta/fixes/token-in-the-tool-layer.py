# Every step gets a token for its verb and resource, and the tools refuse what comes without one that fits and has not run out.

# %% id="call"
from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    task: int
    user: str
    verb: str
    resource: str
    until_s: float


class Refused(Unavailable):
    """No token fits this call."""


class Tools:
    """The services as an agent gets to see them."""

    def __init__(self, services):
        self._services, self.tools = services, services.tools

    def invoke(self, tool, token, text):
        fits = self.tools[tool].verb == token.verb and self._services.now_s < token.until_s
        if not fits:
            raise Refused(tool)
        # Not the name, which may lead elsewhere by now: what the token was made out for.
        return self._services.invoke(tool, token.resource, text)

    def wait(self, seconds):
        self._services.wait(seconds)


def mint(task, step, grants, services):
    verb, resource = services.tools[step.tool].verb, services.resolve(step.resource)
    authorise(grants, verb, resource, services)
    until_s = max(g.until_s for g in grants if covers(g, verb, resource, services.now_s))
    return Token(task.task, task.user, verb, resource, until_s)


def call(task, step, grants, services):
    return request(step, mint(task, step, grants, services), Tools(services))

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, token, tools):
    planned = tools.tools[step.tool]
    for tool in [planned] * REPEATS + substitutes(planned, tools):
        try:
            return tools.invoke(tool.name, token, step.text)
        except Refused:
            continue
        except Unavailable:
            tools.wait(PAUSE_S)
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
