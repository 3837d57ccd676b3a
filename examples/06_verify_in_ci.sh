#!/bin/sh
# The gate that a bundle passes before it goes to the devices: exit code 0, or 1 and a line that says what is off.
#
#   sh 06_verify_in_ci.sh out/cells pictures/              every artifact against the bundle's own FP32
#   sh 06_verify_in_ci.sh out/new pictures/ out/old        and the new bundle against the one that is in use
#
# Needs no labels and no torch: pip install "pvt-edge[onnxruntime,opencv]"
set -eu
bundle=$1 pictures=$2 old=${3:-}

# hashes of all files, and what the bundle was made of
pvt-edge inspect "$bundle"

# boxes, classes and scores are those of FP32, within the tolerance of each precision (docs/verify.md)
pvt-edge verify "$bundle" --images "$pictures" --limit 32 --out verify --json verify.json

if [ -n "$old" ]; then
  pvt-edge verify "$bundle" --images "$pictures" --limit 32 --against "$old" --out verify-old --json verify-old.json
fi

# with labels also: pvt-edge val "$bundle" --data instances_val.json --images "$pictures" --json val.json
