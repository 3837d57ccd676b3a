# Each target sets up what it needs. Modules are run from sub-folders: the checkout's own pvt_edge/ is not the whole
# package, and Python would find it first. PYTHON picks the interpreter (3.10 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
SOURCES := pyproject.toml $(shell find pvt_edge export runtimes benchmarks -name "*.py" -o -name "*.safetensors" -o -name "*.txt" -o -path "*/static/*")
BCCD ?= ../shared/data/bccd
# Processes that run tests, a file at a time: a library that crashes fails one test and not all.
JOBS ?= 2

# what tests of streams drive beside Python: a browser, an RTSP server, an encoder, a screen
SYSTEM := chromium chromium-driver ffmpeg xvfb python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base \
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly libgl1 libglib2.0-0

.PHONY: demo docs notebooks test lint system wheel dist format train-cells train-cells-seg clean

demo: $(STAMPS)/package
	$(BIN)/pvt-edge demo --out out/demo

# the site, in out/site
docs: $(STAMPS)/package
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "mkdocs-material" "mkdocstrings[python]"
	$(BIN)/mkdocs build --strict --clean

# runs them and stores what they show, as small pictures
notebooks: $(STAMPS)/package
	cd $(VENV) && for one in ../examples/notebooks/*.ipynb; do bin/python ../.ci/notebooks.py $$one || exit 1; done

test: $(STAMPS)/package
	$(BIN)/pytest -m alone
	$(BIN)/pytest -m "not alone" -n $(JOBS) --dist loadfile

lint: $(STAMPS)/package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p pvt_edge

# Debian and Ubuntu, as root; tests skip what is not there
system:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM)

format: $(STAMPS)/tools
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(STAMPS)/tools
	$(BIN)/python -m build --wheel --no-isolation

# What a release uploads: dist/, made of the sdist alone, checked, and installed where nothing else is. Licences of all
# that it brings along: out/licences.md
dist: $(STAMPS)/tools
	rm -rf build dist out/empty
	mkdir -p out
	$(BIN)/python -m build --outdir dist . > out/build.log || { cat out/build.log; exit 1; }
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m venv out/empty
	out/empty/bin/python -m pip install --quiet --constraint constraints.txt "$$(ls dist/*.whl)[openvino,opencv]"
	cd out && empty/bin/python -m pip check && empty/bin/pvt-edge doctor
	cd out && ../$(BIN)/python ../.ci/licences.py > licences.md

# weights such as the bundled ones, from scratch
train-cells: $(STAMPS)/package
	mkdir -p runs
	cd runs && ../$(BIN)/pvt-edge train $(abspath $(BCCD)) --task detect --variant b0 --weights none --extra scenes:600 \
	  --symmetry all --epochs 180

# masks of the train pictures are made of their boxes and colours first
train-cells-seg: $(STAMPS)/package
	mkdir -p runs
	$(BIN)/python benchmarks/studies/cells_masks.py $(BCCD) runs/cells-seg-data
	cd runs && ../$(BIN)/pvt-edge train cells-seg-data --task segment --variant b0 --weights cells --extra scenes:400 \
	  --extra-share 0.45 --symmetry all --val-share 0.1 --epochs 40

clean:
	rm -rf $(VENV) $(STAMPS) build dist out runs *.egg-info

# torch comes first and alone: asked for together with the rest, pip may take a CUDA build of another version.
$(STAMPS)/tools: pyproject.toml constraints.txt
	mkdir -p $(STAMPS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77" wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation ".[dev]"
	touch $@

# The wheel is installed, not the checkout: what the tests see is what users get.
$(STAMPS)/package: $(STAMPS)/tools $(SOURCES)
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . > $(STAMPS)/build.log || { cat $(STAMPS)/build.log; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	touch $@
