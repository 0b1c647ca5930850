// What Swift cannot import or express: CPU affinity macros, the time-stamp counter, prefetch, kernel interface headers.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ioctl.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <x86intrin.h>

/// Marks a C function that neither allocates nor locks, so that Swift's performance diagnostics accept it.
#define SLUICE_HOT __attribute__((swift_attr("@_noLocks"))) __attribute__((swift_attr("@_noAllocation")))

/// Reads the time-stamp counter without ordering: for statistics of whole batches.
SLUICE_HOT static inline uint64_t sluice_cycles(void) { return __rdtsc(); }

/// Brings the cache line at `address` near, for reading.
SLUICE_HOT static inline void sluice_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

/// Brings the cache line at `address` near, for writing.
SLUICE_HOT static inline void sluice_prefetch_write(const void *address) { __builtin_prefetch(address, 1, 3); }

/// Pins the calling thread to one core. Returns 0 or an errno value.
static inline int sluice_pin_thread(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/// The cores that the process may use, as a bitmap of `words` 64-bit words. Returns 0 or an errno value.
static inline int sluice_allowed_cores(uint64_t *bitmap, unsigned words) {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int failure = pthread_getaffinity_np(pthread_self(), sizeof set, &set);
    if (failure) return failure;
    for (unsigned core = 0; core < words * 64; core++)
        if (core < CPU_SETSIZE && CPU_ISSET(core, &set)) bitmap[core / 64] |= (uint64_t)1 << (core % 64);
    return 0;
}

/// Forbids core dumps of the process and debuggers without privileges.
static inline int sluice_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

/// ioctl requests of /dev/net/tun, whose macros Swift cannot import.
static const unsigned long sluice_tun_set_interface = TUNSETIFF;
