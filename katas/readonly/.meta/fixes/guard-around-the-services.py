# %% id="call"
class Guarded:
    """Services that deny by default."""

    def __init__(self, services, grants):
        self._services, self.grants, self.asked = services, grants, False

    def __getattr__(self, name):
        return getattr(self._services, name)

    def invoke(self, tool, name, text=""):
        verb, resource = self.tools[tool].verb, self.resolve(name)
        if not granted(self.grants, verb, resource, self.now_s):
            raise Denied(f"{tool} on {resource}")
        return self._services.invoke(tool, name, text)


def call(step, guarded):
    try:
        return request(step, guarded)
    except (Denied, Unavailable):
        if guarded.asked:
            raise
    guarded.asked = True
    authorise(guarded.grants, guarded.tools[step.tool].verb, guarded.resolve(step.resource), guarded)
    return request(step, guarded)

# %% id="retry"
REPEATS, PAUSE_S = 3, 5


def substitutes(planned, services):
    others = [tool for tool in services.tools.values() if tool.returns == planned.returns and tool is not planned]
    return sorted(others, key=lambda tool: tool.latency_s)


def request(step, guarded):
    planned = guarded.tools[step.tool]
    last = Denied(step.resource)
    for tool in [planned] * REPEATS + substitutes(planned, guarded):
        try:
            return guarded.invoke(tool.name, step.resource, step.text)
        except Denied:
            continue
        except Unavailable as e:
            last = e
            guarded.wait(PAUSE_S)
    raise last

# %% id="agent"
def run_task(task, services):
    guarded, answers = Guarded(services, list(task.grants)), []
    for step in task.plan:
        try:
            answers.append(call(step, guarded))
        except (Denied, Unavailable, NotFound):
            answers.append(None)
    return answers
