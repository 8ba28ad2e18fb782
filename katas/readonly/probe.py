"""Run the notebook's agent on unseen plans, and keep what reached the services and the users."""

from office import Services, open_office, read_cases


def probe(notebook, inputs):
    """Call `run_task(task, services)` once per plan; return the services' logs and the answers."""
    run_task, office = notebook["run_task"], open_office(inputs)
    traces, answers, raised = [], [], []
    for number, case in enumerate(read_cases(inputs)):
        services = Services(office, case)
        try:
            given = run_task(case.task, services)
        except Exception as e:  # an exception ends this task, not the others
            given = []
            raised.append([number, f"{type(e).__name__}: {e}"[:160]])
        traces.append(services.log)
        answers.append([a if isinstance(a, str) else None for a in given] if isinstance(given, list | tuple) else [])
    return {"traces": traces, "answers": answers, "raised": raised}
