# `make book` and `make test`: each sets up .venv from the lock first, and does nothing twice.

PYTHON ?= python3
PORT ?= 8888
BIN := .venv/bin
JOBS := $(shell "$(PYTHON)" -c "import os; print(os.cpu_count())")
CHECKED ?= book tests dlcourse
EXECUTED := _build/executed
READ := _build/.doctrees
SCREENSHOTS := _build/screenshots
BUILD := jupyter-book build . -W -n --keep-going --quiet

# Small networks run tens of times slower on two threads than on one, and sums differ.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export VECLIB_MAXIMUM_THREADS := 1

.PHONY: help environment book test check check-runs check-page lint run tested-site pages portability seal lab bench lock clean

help:
	@echo "make book         build the book in _build/html"
	@echo "make test         check everything"
	@echo "make check        check one chapter, CHAPTER=adam: a minute or less"
	@echo "make seal         show which words of the book changed, and seal them as they are"
	@echo "make lab          open the chapters in JupyterLab"
	@echo "make portability  run the chapters as other processors would"
	@echo "make bench        print ratios against peers, and Lighthouse of the site"
	@echo "make lock         resolve the lock anew"
	@echo "make clean        remove what was built; .venv stays"

environment:
	@"$(PYTHON)" tools/environment.py

book: environment
	@"$(BIN)"/python tools/chapters.py
	@# The extensions import tools/. Sphinx forgets a page's warnings once it has read the page, and
	@# does not see a change in the extensions: after a failure or such a change it reads all anew.
	@test -z "$$(find book/_ext book/_templates tools -newer "$(READ)"/environment.pickle 2>&1)" || rm -rf "$(READ)"
	@PYTHONPATH=. "$(BIN)"/$(BUILD) || { rm -rf "$(READ)"; exit 1; }
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

test: environment
	@"$(PYTHON)" tools/environment.py --tests
	@$(MAKE) --no-print-directory lint run tested-site pages
	@echo "All is checked. The tested site: $(CURDIR)/_build/tested/_build/html/index.html"

# One chapter: its outputs and tests on one core, its page on the other, then the page in a browser.
check: environment
	@"$(PYTHON)" tools/environment.py --tests
	@PYTHONPATH=. "$(BIN)"/python tools/one_chapter.py "$(CHAPTER)" > /dev/null
	@$(MAKE) --no-print-directory -j 2 check-runs check-page
	DLCOURSE_SITE=_build/html DLCOURSE_SCREENSHOTS="$(SCREENSHOTS)" \
		"$(BIN)"/pytest tests/site/test_pages.py tests/site/test_reader.py -q -k "$(CHAPTER)"

check-runs:
	PYTHONPATH=. "$(BIN)"/python tools/one_chapter.py "$(CHAPTER)" | \
		xargs "$(BIN)"/pytest -q --nbval --nbval-current-env --nbval-cell-timeout 300

check-page:
	@PYTHONPATH=. "$(BIN)"/$(BUILD)

# The four steps of a test, each of them a command of its own once .venv stands.
lint:
	"$(BIN)"/ruff check .
	"$(BIN)"/ruff format --check .
	"$(BIN)"/lint-imports

run:
	rm -rf "$(EXECUTED)" _build/ledger.json
	"$(BIN)"/pytest $(CHECKED) --ignore tests/site --doctest-modules \
		--nbval --nbval-current-env --nbval-cell-timeout 300 \
		-n $(JOBS) --dist loadfile --no-loadscope-reorder

tested-site:
	rm -rf _build/tested
	DLCOURSE_EXECUTED="$(EXECUTED)" PYTHONPATH=. "$(BIN)"/$(BUILD) --path-output _build/tested

pages:
	"$(BIN)"/pytest tests/site -n $(JOBS)

portability: environment
	@"$(BIN)"/python tools/portability.py

seal: environment
	@PYTHONPATH=. "$(BIN)"/python -m tools.seals

lab: environment
	@"$(BIN)"/jupyter trust book/*.ipynb  # or JupyterLab hides stored figures until they are run again
	"$(BIN)"/jupyter lab --notebook-dir book --port $(PORT)

bench: book
	@for script in benchmarks/*.py; do "$(BIN)"/python $$script || exit 1; done

lock: environment
	"$(BIN)"/uv pip compile pyproject.toml --universal --python-version 3.11 \
		--extra torch --extra book --extra grading --extra dask --extra development \
		$(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") --no-emit-package torch \
		--no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf _build dist .pytest_cache .ruff_cache .hypothesis
