#!/usr/bin/env bash
# Runs there, out of the unpacked pack: ./run.sh [FOLDER]. The native CUDA suite, the JUnit CUDA suite and the two
# ceilings; FOLDER (default: results) gets results.json, results.md and the log of each step.
# Needs an NVIDIA driver and, for the bf16 ceiling, a python3 with PyTorch. Exits 1 unless everything ran and passed.
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
out=${1:-$here/results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/steps.tsv
cd "$here"

say() { printf 'jlatent: %s\n' "$*" >&2; }

# cuBLAS and cuDNN, where they came with PyTorch's wheels.
wheels=$(python3 -c 'import glob, sys; print(":".join(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib")))')
export LD_LIBRARY_PATH=$wheels${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
JLATENT_KERNELS=$(echo "$here"/lib/libjlatent_cuda*.so)
export JLATENT_KERNELS

step() { # step NAME COMMAND...: keeps what it says in NAME.log, and how it ended in steps.tsv
    local name=$1 code=0
    shift
    rm -f "$out/$name".{xml,json,log}
    say "$name"
    timeout 300 "$@" >"$out/$name.log" 2>&1 || code=$?
    ((code == 0)) || { say "$name ended with $code:"; tail -n 20 "$out/$name.log" >&2; }
    printf '%s\t%d\n' "$name" "$code" >>"$out/steps.tsv"
}

for test in bin/*_cuda_test; do
    name=$(basename "$test" _test)
    step "$name" "$test" --gtest_brief=1 --gtest_output="xml:$out/$name.xml"
done

core=$(echo jars/jlatent-core-*-tests.jar)
step junit jre/bin/java -Djlatent.cache="$here/cache" -Djlatent.test.device=cuda -Djlatent.leaks=true \
    -cp "test-classes:jars/*" org.junit.platform.console.ConsoleLauncher execute \
    --scan-classpath="test-classes:$core" --include-tag="cuda | device" \
    --fail-if-no-tests --disable-banner --disable-ansi-colors --reports-dir="$out/junit"
if [[ -e $out/junit/TEST-junit-jupiter.xml ]]; then mv "$out/junit/TEST-junit-jupiter.xml" "$out/junit.xml"; fi
rm -rf "$out/junit"

step ceiling-copy bin/ceilings "$out/ceiling-copy.json"
step ceiling-matmul python3 ceilings.py "$out/ceiling-matmul.json"

python3 report.py "$out" "$(cat commit)"
