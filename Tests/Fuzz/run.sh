#!/bin/bash
# Builds every fuzz target and runs each on its corpus, as many at a time as there are cores.
#
#   Tests/Fuzz/run.sh [SECONDS [TARGET...]]     SECONDS per target, default 10; 0: only the committed corpus.
#
# A target is a file Tests/Fuzz/Targets/NAME.swift; its corpus is Tests/Fuzz/Corpus/NAME. What libFuzzer finds new is
# kept in .build-fuzz/corpus, an input that breaks a target in .build-fuzz/findings.
set -u
cd "$(dirname "$0")/../.."
seconds=${1:-10}
shift $(($# > 0 ? 1 : 0))
if ! [[ $seconds =~ ^[0-9]+$ ]]; then
    echo "usage: Tests/Fuzz/run.sh [SECONDS [TARGET...]]" >&2
    exit 64
fi
if [ $# -gt 0 ]; then
    targets=("$@")
else
    targets=($(basename -s .swift Tests/Fuzz/Targets/*.swift))
fi

scratch=.build-fuzz
# A failed property ends the process by a trap: leave that to libFuzzer.
export SWIFT_BACKTRACE=enable=no
mkdir -p $scratch/findings $scratch/logs
if ! SLUICE_FUZZ=1 swift build --scratch-path $scratch \
    -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld >$scratch/logs/build.log 2>&1; then
    grep -E "error:" $scratch/logs/build.log || tail -n 30 $scratch/logs/build.log
    echo "fuzz: the build failed ($scratch/logs/build.log)"
    echo "fuzz: 0 passed, ${#targets[@]} failed"
    exit 1
fi

if [ "$seconds" -eq 0 ]; then limit=-runs=0; else limit=-max_total_time=$seconds; fi

# fuzz TARGET: one line that starts with "pass" or "FAIL", and after the latter why.
fuzz() {
    local target=$1 log=$scratch/logs/$1.log corpora=("$scratch/corpus/$1") runs edges
    mkdir -p "${corpora[0]}"
    [ -d "Tests/Fuzz/Corpus/$target" ] && corpora+=("Tests/Fuzz/Corpus/$target")
    # The outer time limit is for a target that hangs where libFuzzer cannot see it.
    if timeout -k 5 $((seconds + 120)) "$scratch/debug/Fuzz$target" $limit -timeout=10 -max_len=2048 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$scratch/findings/$target-" "${corpora[@]}" >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        echo "pass  $target: ${runs:-?} inputs, ${edges:-?} edges"
    else
        printf 'FAIL  %s\n%s\n' "$target ($log)" \
            "$(grep -E "ERROR|Fatal error|SUMMARY|Test unit written|No such file" "$log" | head -n 8 | sed 's/^/      /')"
    fi
}
export -f fuzz
export scratch seconds limit

results=$scratch/logs/results
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz "$0"' | tee "$results"
passed=$(grep -c '^pass ' "$results")
failed=$((${#targets[@]} - passed))
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
