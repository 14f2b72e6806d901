#!/usr/bin/env bash
# Runs the benchmarks; arguments go to JMH, for example: bench/jmh/run.sh Gaussian -p log2=20
#   --peers (first) adds libtorch on the same numbers in the same run; it is downloaded then (about 300 MB).
#   --peers --check times nothing: it holds every dense operation and its gradients against libtorch.
set -euo pipefail
home=$(cd "$(dirname "$0")/../.." && pwd)
profile=()
main=org.openjdk.jmh.Main
if [[ ${1:-} == --peers ]]; then
    profile=(-Ppeers)
    shift
    if [[ ${1:-} == --check ]]; then
        main=org.jlatent.bench.Parity
        shift
    fi
fi
(cd "$home" && mvn -B -q -DskipTests "${profile[@]}" package)
# MKL on the same OpenMP pool as everything else; waiting threads must not spin against the other library's.
export MKL_THREADING_LAYER=GNU OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
exec java -Dorg.bytedeco.openblas.load=mkl -cp "$home/bench/jmh/target/jlatent-bench.jar:$home/bench/jmh/target/lib/*" "$main" "$@"
