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
