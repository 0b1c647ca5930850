#!/bin/bash
# Removes the namespaces, processes and files of test runs that no longer live. A live run holds a lock on its file.
shopt -s nullglob
for lock in /run/sluice-tests/*.lock; do
    run=$(basename "$lock" .lock)
    exec 9<>"$lock"
    flock -n 9 || continue
    for path in /run/netns/"$run"-*; do
        namespace=${path##*/}
        for process in $(ip netns pids "$namespace" 2>/dev/null); do kill -9 "$process" 2>/dev/null; done
        ip netns del "$namespace" 2>/dev/null
    done
    rm -rf "/run/sluice-tests/$run" "$lock"
done
exit 0
