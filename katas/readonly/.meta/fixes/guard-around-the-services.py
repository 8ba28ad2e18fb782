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

# %% id="agent"
def run_task(task, services):
    guarded, answers = Guarded(services, list(task.grants)), []
    for step in task.plan:
        try:
            answers.append(call(step, guarded))
        except (Denied, Unavailable, NotFound):
            answers.append(None)
    return answers
