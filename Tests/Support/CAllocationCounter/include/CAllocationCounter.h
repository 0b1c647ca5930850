// Counts what a hot path must not do. Linked into a test executable, this target's malloc family and pthread locks stand
// in for libc's, in the executable and in every library it loads.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Whether the counters work; false under sanitizers, which need malloc for themselves.
bool sluice_counters_work(void);

/// Calls of malloc, calloc, realloc, free and the aligned allocators by this thread so far.
uint64_t sluice_allocations(void);

/// Calls of pthread mutex and reader-writer lock functions by this thread so far. Swift's own `Mutex` is not seen.
uint64_t sluice_locks(void);
