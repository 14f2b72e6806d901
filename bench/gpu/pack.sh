#!/usr/bin/env bash
# Packs the build for a GPU machine that has no Java and no network: bench/gpu/pack.sh [FILE].
# There: tar -xf FILE && jlatent-gpu/run.sh
set -euo pipefail

home=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
file=$(realpath -m "${1:-$home/target/jlatent-gpu.tar.xz}")
limit=$((40 * 1024 * 1024))

say() { printf 'jlatent: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

say "building what is not built"
"$home/jlatent" --version >/dev/null
kernels=$(find "$home/target/native/lib/cuda" -name 'libjlatent_cuda*.so' 2>/dev/null)
[[ -n $kernels ]] || stop "this build has no CUDA kernels: install nvcc and remove $home/target"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
pack=$scratch/jlatent-gpu
mkdir -p "$pack"/{bin,lib,jars} "$(dirname "$file")"

say "a Java runtime"
jlink --add-modules java.base,java.logging,java.management,jdk.unsupported,java.xml \
    --compress=0 --strip-java-debug-attributes --no-header-files --no-man-pages --output "$pack/jre"

say "jars, stored without compression for xz to work on"
property() { sed -nE "s/.*<$1>([^<]*)<.*/\1/p" "$home/pom.xml"; }
console=org.junit.platform:junit-platform-console-standalone:1.$(property junit.version | cut -d. -f2-) # for JUnit 5.x
(cd "$home" && mvn -q -B -N -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="$console" -DoutputDirectory="$scratch/console") >&2
mapfile -t ours < <(find "$home"/java/{core,cuda}/target -maxdepth 1 -name 'jlatent-*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar')
# JCuda with its native libraries, and what jlatent-core needs itself.
mapfile -t theirs < <(find "$home/java/cli/target/lib" -name 'jc*-*.jar' -o -name 'jackson-*.jar' -o -name 'commons-*.jar')
for jar in "${ours[@]}" "${theirs[@]}" "$scratch"/console/*.jar; do
    mkdir "$scratch/jar"
    # JCuda's PTX compiler is the largest of its libraries, and not ours to use; nor are these others.
    (cd "$scratch/jar" && jar -xf "$jar" && rm -f lib/libJ{NvPTXCompiler,Nvrtc,CudaRuntime,Cublas}-* && jar -c0Mf "$pack/jars/$(basename "$jar")" .)
    rm -r "$scratch/jar"
done
cp -r "$home/java/cuda/target/test-classes" "$pack/"

say "native tests and ceilings"
cp "$home"/target/native/kernels/*_cuda_test "$pack/bin/"
cp "$kernels" "$pack/lib/"
nvcc -O3 -std=c++17 -gencode arch=compute_80,code=sm_80 -gencode 'arch=compute_90,code=[sm_90,compute_90]' \
    -o "$pack/bin/ceilings" "$home/bench/gpu/ceilings.cu"
cp "$home"/bench/gpu/{run.sh,report.py,ceilings.py} "$pack/"
git -C "$home" describe --always --dirty >"$pack/commit" 2>/dev/null || echo unknown >"$pack/commit"

say "compressing $(du -sm "$pack" | cut -f1) MB"
tar -C "$scratch" -c jlatent-gpu | xz -T0 >"$file"
size=$(stat -c %s "$file")
((size <= limit)) || stop "$file has $size bytes, more than the $limit that a GPU machine takes"
say "$file, $((size / 1024 / 1024)) MiB; there: tar -xf $(basename "$file") && jlatent-gpu/run.sh"
