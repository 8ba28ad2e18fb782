# Every target forwards to `python -m harness`; the console script `kata` takes the same commands.
# The environment is made when it is missing or older than pyproject.toml or harness/constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
LAB := $(BIN)/python -m harness $(if $(KATAS),--katas $(KATAS))
READY := .venv/.ready

.DEFAULT_GOAL := help

.PHONY: help list check watch hint reset debrief lab doctor exam exam-status exam-lab exam-check exam-pause exam-finish exam-review new apply sync prove calibrate bench test lint

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

list: $(READY) ## the katas, and what you have done of them
	@$(LAB) list

check: $(READY) ## run and judge your notebook: KATA=lossspike, SEED=n for one seed only, NOTEBOOK=file for another file
	@$(LAB) check $(call need,KATA) $(if $(SEED),--seed $(SEED)) $(if $(NOTEBOOK),--notebook "$(NOTEBOOK)")

watch: $(READY) ## check your notebook whenever you save it: KATA=lossspike, SEED=n for one seed only
	@$(LAB) watch $(call need,KATA) $(if $(SEED),--seed $(SEED)) $(if $(NOTEBOOK),--notebook "$(NOTEBOOK)")

hint: $(READY) ## the next hint: KATA=lossspike, LEVEL=n for one you have had
	@$(LAB) hint $(call need,KATA) $(if $(LEVEL),--level $(LEVEL))

reset: $(READY) ## put the shipped notebook back, keeping yours under another name: KATA=lossspike
	@$(LAB) reset $(call need,KATA)

debrief: $(READY) ## your way through a kata beside the reference: KATA=lossspike, GIVE_UP=1 if it is not fixed
	@$(LAB) debrief $(call need,KATA) $(if $(GIVE_UP),--give-up)

lab: $(READY) ## open JupyterLab at its start page: KATA=lossspike to start at that notebook
	@$(LAB) lab $(KATA)

doctor: $(READY) ## what works on this machine, what is missing, the remedy
	@$(LAB) doctor

exam: $(READY) ## an exam: unseen katas, a clock, few checks, no hints; or go on with the open one: TRACKS='a, b', MINUTES=90, SEED=n, SEEN=1
	@$(LAB) exam $(if $(TRACKS),--tracks "$(TRACKS)") $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(SEEN),--seen)

exam-status: $(READY) ## what is left of the exam: time, checks, where its notebooks lie
	@$(LAB) exam status

exam-lab: $(READY) ## open JupyterLab on the exam's notebooks: KATA=lossspike to start at one
	@$(LAB) exam lab $(KATA)

exam-check: $(READY) ## run and judge a notebook of the exam: KATA=lossspike, CONFIDENCE=0.8 for how sure you are that it holds
	@$(LAB) exam check $(call need,KATA) $(if $(CONFIDENCE),--confidence $(CONFIDENCE))

exam-pause: $(READY) ## stop the exam's clock; make exam goes on
	@$(LAB) exam pause

exam-finish: $(READY) ## end the exam and show its score card
	@$(LAB) exam finish

exam-review: $(READY) ## (instructor) write the reviewer's page of an exam: NUMBER=n, or the last
	@$(LAB) exam review $(NUMBER)

new: $(READY) ## (instructor) start a kata from a commented scaffold: KATA=name-of-the-symptom
	@$(LAB) new $(call need,KATA)

apply: $(READY) ## (instructor) write a notebook with a known fix in it: KATA=lossspike FIX=name OUTPUT=file
	@$(LAB) apply $(call need,KATA) $(call need,FIX) --output "$(call need,OUTPUT)"

sync: $(READY) ## (instructor) write the notebooks from their sources: KATA=lossspike, or all
	@$(LAB) sync $(KATA)

prove: $(READY) ## (instructor) try the broken notebook and every known fix: KATA=lossspike, or all that changed or are stale; ALL=1; MINUTES=n for as many as fit
	@$(LAB) prove $(KATA) $(if $(ALL),--all) $(if $(MINUTES),--minutes $(MINUTES))

calibrate: $(READY) ## (instructor) measure the healthy bands: KATA=lossspike; FIX=name for one fix only, against the bands as they are
	@$(LAB) calibrate $(call need,KATA) $(if $(FIX),--fix $(FIX))

bench: $(READY) ## (developer) what the lab adds to a training run, as ratios: OUTPUT=folder for the page, REPEATS=n
	@$(LAB) bench --kata $(or $(KATA),lossspike) --short $(or $(SHORT),readonly) $(if $(OUTPUT),--output $(OUTPUT)) $(if $(REPEATS),--repeats $(REPEATS))

test: $(READY) ## (developer) the harness's own tests
	$(BIN)/python -m pytest -n 4 --maxschedchunk 2 $(TESTS)

lint: $(READY) ## (developer) ruff, mypy, import-linter, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

need = $(or $($(1)),$(error $(1)= is missing: make help shows what each target takes, make list the katas))

# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes PyTorch's CPU build, which is ten times smaller.
$(READY): pyproject.toml harness/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, and $(PYTHON) is" $$($(PYTHON) --version) "- name another one: make PYTHON=python3.12 ..."; exit 4; }
	@echo "Setting up .venv: once, a few minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) "$$(grep -o 'torch==[0-9.]*' pyproject.toml | head -1)")
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint harness/constraints.txt --editable '.[dev]'
	@touch $@
