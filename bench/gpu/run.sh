#!/usr/bin/env bash
# Runs there, out of the unpacked pack: ./run.sh [FOLDER [PHASE...]]. All phases, in this order, unless some are named:
#   suites      the native CUDA suite, the JUnit CUDA suite
#   ceilings    copy bandwidth, bf16 product
#   kernels     every operation, its result held against the CPU's before it is timed
#   training    training steps through the trainer: times, allocations, losses beside the CPU's
#   peers       the same operations and steps in PyTorch: eager, in CUDA graphs
#   sanitizers  the native suite under compute-sanitizer: memcheck, racecheck
#   compiled    the peers through torch.compile, as far as time goes
# FOLDER (default: results) gets results.json, results.md and the log of each step; phases that are named are added to what
# is there. Needs an NVIDIA driver and, for PyTorch's part, a python3 with it. Takes less than nine minutes: a step gets
# half of the time that is left, and what is not run is reported as such. Exits 1 unless all of ours ran and passed.
set -euo pipefail

readonly seconds=520 # for all steps together
readonly at_once=8   # of those that are not timed

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
out=${1:-$here/results}
phases=("${@:2}")
mkdir -p "$out"
out=$(cd "$out" && pwd)
((${#phases[@]})) || { phases=(suites ceilings kernels training peers sanitizers compiled); rm -f "$out"/steps.tsv; }
cd "$here"

say() { printf 'jlatent: %s\n' "$*" >&2; }

# cuBLAS and cuDNN, where they came with PyTorch's wheels.
wheels=$(python3 -c 'import glob, sys; print(":".join(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib")))' || true)
export LD_LIBRARY_PATH=$wheels${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# The libraries under test are those in the jars.
rm -rf natives
for jar in jars/jlatent-*-linux-x86_64.jar; do python3 -m zipfile -e "$jar" natives; done
libraries=$here/natives/org/jlatent/native/linux-x86_64
JLATENT_KERNELS=$(printf '%s\n' "$libraries"/libjlatent_cuda*.so | sort -V | tail -n 1) 
export JLATENT_KERNELS PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

ended() { # ended NAME HOW: a number, or why it was not run
    printf '%s\t%s\n' "$1" "$2" >>"$out/steps.tsv"
}

step() { # step NAME COMMAND...: keeps what it says in NAME.log, and how it ended in steps.tsv
    local name=$1 code=0 limit=$(((seconds - SECONDS) / 2))
    shift
    rm -f "$out/$name".{xml,json,jsonl,log}
    if ((limit < 5)); then
        say "$name: no time left"
        ended "$name" "no time left"
        return
    fi
    say "$name, at most $limit s"
    timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1 || code=$?
    ((code == 0)) || { say "$name ended with $code:"; tail -n 20 "$out/$name.log" >&2; }
    ended "$name" "$code"
}

together() { # together NAME COMMAND...: a step beside others; `wait` waits for them
    while (($(jobs -rp | wc -l) >= at_once)); do wait -n || true; done
    step "$@" &
}

suites() {
    for test in bin/*_cuda_test; do
        local name
        name=$(basename "$test" _test)
        together "$name" "$test" --gtest_brief=1 --gtest_output="xml:$out/$name.xml"
    done
    wait
    local core
    core=$(echo jars/jlatent-core-*-tests.jar)
    step junit jre/bin/java -Djlatent.cache="$here/cache" -Djlatent.test.device=cuda -Djlatent.leaks=true \
        -cp "test-classes:jars/*" org.junit.platform.console.ConsoleLauncher execute \
        --scan-classpath="test-classes:$core" --include-tag="cuda | device" \
        --fail-if-no-tests --disable-banner --disable-ansi-colors --reports-dir="$out/junit"
    if [[ -e $out/junit/TEST-junit-jupiter.xml ]]; then mv "$out/junit/TEST-junit-jupiter.xml" "$out/junit.xml"; fi
    rm -rf "$out/junit"
}

ceilings() {
    step ceiling-copy bin/ceilings "$out/ceiling-copy.json"
    step ceiling-matmul python3 ceilings.py "$out/ceiling-matmul.json"
}

kernels() {
    step kernels bin/kernels "$JLATENT_KERNELS" "$libraries/libjlatent_cpu.so" "$out/kernels.jsonl"
}

training() {
    step training jre/bin/java -Djlatent.cache="$here/cache" -cp "test-classes:jars/*" \
        org.jlatent.cuda.TrainingBenchmark "$out/training.jsonl"
}

peers() {
    step peers-training python3 peers_training.py "$out/peers-training.jsonl" eager
    step peers python3 peers.py "$out/peers.jsonl" eager
}

sanitizers() {
    local sanitizer large
    sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer || true)
    [[ -n $sanitizer ]] || { ended sanitizers "no compute-sanitizer on this machine"; return; }
    large=$(paste -sd : large_cases.txt)
    for tool in memcheck racecheck; do
        for test in bin/*_cuda_test; do
            local name
            name=$tool-$(basename "$test" _cuda_test)
            together "$name" "$sanitizer" --tool "$tool" --error-exitcode 1 \
                "$test" --gtest_brief=1 --gtest_filter="-$large" --gtest_output="xml:$out/$name.xml"
        done
    done
    wait
}

compiled() {
    step compiled-training python3 peers_training.py "$out/compiled-training.jsonl" compile
    step compiled python3 peers.py "$out/compiled.jsonl" compile
}

for phase in "${phases[@]}"; do
    case $phase in
        suites | ceilings | kernels | training | peers | sanitizers | compiled) "$phase" ;;
        *) say "there is no phase $phase"; exit 2 ;;
    esac
done

python3 report.py "$out" "$(cat commit)"
