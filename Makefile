# `make lab` and `make test` do all their own set-up. A second call installs nothing: .venv/.installed is newer than the pins.
.DEFAULT_GOAL := help
.PHONY: help lab test check format notebooks address mutants crash fuzz browser browser-proof colab colab-zip site site-browser clean
MAKEFLAGS += --no-print-directory
# Two threads are what the lessons are written for; a machine that shares its cores may set fewer.
export OMP_NUM_THREADS ?= 2

VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INSTALLED := $(VENV)/.installed

# The newest Python that runs and that torch has a wheel for. `make lab PYTHON=/path/to/python` overrides it.
# Each is tried, not looked up: a name on the path may be a shim with nothing behind it, or lack venv.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	if $$name -c '$(FITS)' >/dev/null 2>&1; then echo $$name; break; fi; done)

help:
	@echo "make lab        install what is missing, open notebooks/00_start_here.ipynb in JupyterLab"
	@echo "make test       install what is missing, run what CI runs: checks, unit tests, every notebook, the set-up cell"
	@echo "make check      lint and format of code and notebooks, types of seglib"
	@echo "make format     write code and notebooks the way 'make check' wants them"
	@echo "make notebooks  run all notebooks in order, store their outputs, print the seconds of each"
	@echo "                (one only: make notebooks NOTEBOOKS=notebooks/01_dataset.ipynb)"
	@echo "make address    write the repository's address from pyproject.toml into notebooks and README"
	@echo "                (a new one: make address REPO=owner/name)"
	@echo "make mutants    put each known fault into seglib and see that a notebook goes red (minutes)"
	@echo "make crash      kill a training 50 times at random moments and see that nothing is lost (minutes)"
	@echo "make fuzz       read 2,000 damaged or strange files: a right picture or a clear error, nothing else (minutes)"
	@echo "make colab      play every notebook on Google Colab's versions, from a clone and from the zip (minutes)"
	@echo "make colab-zip  build seglib-colab.zip, for a repository that Colab cannot clone (README, Start)"
	@echo "make browser    meet every notebook in a real JupyterLab: links, knobs, saving (many minutes; needs Chromium)"
	@echo "                (some only: make browser NOTEBOOKS='01 07')"
	@echo "make browser-proof  plant five faults and see that the tests of the browser find each (minutes)"
	@echo "make site       build the site into build/site/html, and look for dead links in it (a minute)"
	@echo "make site-browser  the same, then every page in Chromium: can everybody read it? (minutes)"
	@echo "make clean      remove the environment and the caches"

$(INSTALLED): requirements.txt pyproject.toml
	@test -n '$(PYTHON)' || { echo "No Python 3.11 to 3.14 found. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON), once: about 5 GB on Linux, some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@# Matplotlib lists the fonts at its first start, and says so in the notebook that happens to be first.
	@$(BIN)/python -c "import matplotlib.font_manager"
	@touch $@

# JupyterLab's settings for this project: widgets are saved with a notebook, and no news are asked for.
SETTINGS := $(VENV)/share/jupyter/lab/settings/overrides.json
$(SETTINGS): tools/notebooks/overrides.json $(INSTALLED)
	@mkdir -p $(@D)
	@cp $< $@

# The root is the repository, so that its code and its pictures can be opened beside a lesson.
lab: $(INSTALLED) $(SETTINGS)
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. notebooks/00_start_here.ipynb

# One call of pytest, one closing line: doctests, unit tests, the set-up cell, then every notebook under strict nbval.
test: check
	$(BIN)/python -m pytest --doctest-modules --nbval --nbval-current-env --nbval-cell-timeout=600 --durations=10 \
		seglib tests notebooks

check: $(INSTALLED)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m tools.notebooks.check
	$(BIN)/python -m mypy

format: $(INSTALLED)
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/python -m tools.notebooks.check --fix

notebooks: $(INSTALLED)
	$(BIN)/python -m tools.notebooks.store $(NOTEBOOKS)
	$(BIN)/python -m tools.notebooks.readme_picture

address: $(INSTALLED)
	$(BIN)/python -m tools.notebooks.address $(REPO)

mutants: $(INSTALLED)
	$(BIN)/python -m tools.proofs.mutants

crash: $(INSTALLED)
	$(BIN)/python -m tools.proofs.crash

fuzz: $(INSTALLED)
	$(BIN)/python -m tools.proofs.fuzz

# The system's chromium serves, or that of playwright: .venv/bin/python -m playwright install --with-deps chromium
$(VENV)/.installed-browser: tests/browser/requirements.txt $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/browser/requirements.txt
	@touch $@

browser: $(VENV)/.installed-browser
	SEGLIB_BROWSER_NOTEBOOKS="$(NOTEBOOKS)" $(BIN)/python -m pytest tests/browser

browser-proof: $(VENV)/.installed-browser
	$(BIN)/python -m tools.proofs.browser

# Colab's own versions of what a notebook imports and of what runs it: no seglib, and nothing that the tests need.
# Colab runs Python 3.13. Where that is missing, 3.12 or 3.11 have the same packages, and the record says which it was.
COLAB_PYTHON ?= $(shell for name in python3.13 python3.12 python3.11; do \
	if $$name -c 'import venv, ensurepip' >/dev/null 2>&1; then echo $$name; break; fi; done)
COLAB_VERSIONS := tools/proofs/colab_constraints.txt
.venv-colab/.installed: $(INSTALLED) $(COLAB_VERSIONS)
	@test -n '$(COLAB_PYTHON)' || { echo "Colab runs Python 3.13, and neither it nor 3.12 or 3.11 was found." \
		"Install one, or name it: make colab COLAB_PYTHON=/path/to/python3.13" >&2; exit 1; }
	@$(COLAB_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || \
		echo "Colab runs Python 3.13; this is $$($(COLAB_PYTHON) -V). Another one: make colab COLAB_PYTHON=/path/to/python3.13"
	@echo "Installing Colab's versions into .venv-colab, once: about 5 GB on Linux, some minutes"
	@rm -rf .venv-colab
	@$(COLAB_PYTHON) -m venv .venv-colab
	@$(subst $(VENV),.venv-colab,$(BIN))/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		-c $(COLAB_VERSIONS) torch torchvision pillow numpy matplotlib ipywidgets tqdm ipykernel setuptools
	@touch $@

colab: .venv-colab/.installed
	$(BIN)/python -m tools.proofs.colab play --python $(subst $(VENV),.venv-colab,$(BIN))/python

colab-zip: $(INSTALLED)
	$(BIN)/python -m tools.proofs.colab zip

# What builds the site has an environment of its own: no torch, and no version that a lesson could notice.
SITE_VENV ?= .venv-site
SITE_PYTHON := $(subst $(VENV),$(SITE_VENV),$(BIN))/python
SITE_PYTEST := SEGLIB_SITE=build/site/html $(SITE_PYTHON) -m pytest --confcutdir=tests/site --quiet

$(SITE_VENV)/.installed: site/requirements.txt
	@test -n '$(PYTHON)' || { echo "No Python 3.11 to 3.14 found. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(SITE_VENV), once: about 300 MB"
	@$(PYTHON) -m venv $(SITE_VENV)
	@$(SITE_PYTHON) -m pip install --quiet --disable-pip-version-check -r site/requirements.txt
	@touch $@

site: $(SITE_VENV)/.installed
	$(SITE_PYTHON) -m tools.site.build
	$(SITE_PYTEST) tests/site --ignore=tests/site/test_in_browser.py

# The browser is SEGLIB_BROWSER, or a Chromium on the path, or the one that `playwright install chromium` has put.
site-browser: site
	$(SITE_PYTEST) tests/site/test_in_browser.py

clean:
	rm -rf $(VENV) .venv-colab .venv-site .mypy_cache .pytest_cache .ruff_cache .hypothesis seglib.egg-info build
