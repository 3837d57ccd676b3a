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

.PHONY: demo test lint system wheel format train-cells clean

demo: $(STAMPS)/package
	mkdir -p out/demo
	cd out/demo && ../../$(BIN)/python -m pvt_edge.scenes scenes --count 12 --clip clip.mp4
	$(BIN)/pvt-edge export --variant b0 --int8 --tune quick --out out/demo/b0
	$(BIN)/pvt-edge predict out/demo/b0 out/demo/scenes/images --save out/demo/annotated --json out/demo/images.jsonl
	$(BIN)/pvt-edge predict out/demo/b0 out/demo/clip.mp4 --save out/demo/annotated.mp4 --json out/demo/clip.jsonl
	@echo "look at out/demo/annotated/ and out/demo/annotated.mp4"

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

# weights such as the bundled ones, from scratch
train-cells: $(STAMPS)/package
	mkdir -p runs
	cd runs && ../$(BIN)/pvt-edge train $(abspath $(BCCD)) --task detect --variant b0 --weights none --extra scenes:600 \
	  --symmetry all --epochs 180

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
