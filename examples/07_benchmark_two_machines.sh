#!/bin/sh
# What is slower on this machine than on that one, or than last week: ratios of rows, not milliseconds, are compared.
#
#   sh 07_benchmark_two_machines.sh out/cells                        on the first machine: writes bench/benchmark.json
#   scp bench/benchmark.json second: ; ssh second                    take the file to the second
#   sh 07_benchmark_two_machines.sh out/cells benchmark.json         there: exit 1 where a row moved against the others
#
# Further options go to `pvt-edge benchmark`: --runtime openvino,onnxruntime, --quick for a first look. Nothing else
# should run on the machine; the output says BUSY MACHINE where something did.
set -eu
bundle=$1 baseline=
shift
case ${1:-} in
  *.json) baseline=$1; shift ;;
esac

if [ -z "$baseline" ]; then
  pvt-edge benchmark "$bundle" --out bench "$@"
  echo "take bench/benchmark.json to the other machine"
else
  pvt-edge benchmark "$bundle" --out bench-second --against "$baseline" "$@"
fi
