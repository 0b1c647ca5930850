// libbpf, and what the steering program shares with the gateway.
#pragma once
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "../../bpf/steering.h"

/// libbpf's own messages would go to stderr; errors are reported by XDPError instead.
static inline void sluice_bpf_quiet(void) { libbpf_set_print(0); }

/// Opens the object in `memory` (16-byte aligned); what the verifier says about a program goes to `log`. NULL and errno on error.
static inline struct bpf_object *sluice_bpf_open(const void *memory, size_t size, char *log, size_t log_size) {
    struct bpf_object_open_opts options = {
        .sz = sizeof options, .object_name = "steering", .kernel_log_buf = log, .kernel_log_size = log_size};
    return bpf_object__open_mem(memory, size, &options);
}

/// Attaches a program to an interface in one step: in the place of `replaced`, or where there is none (0). It stays when the
/// process ends. 0 or negative errno.
static inline int sluice_bpf_attach(int interface_index, unsigned xdp_flags, int program, int replaced) {
    struct bpf_xdp_attach_opts options = {.sz = sizeof options, .old_prog_fd = replaced};
    unsigned flags = replaced ? xdp_flags : xdp_flags | XDP_FLAGS_UPDATE_IF_NOEXIST;
    return bpf_xdp_attach(interface_index, program, flags, replaced ? &options : 0);
}

/// Attaches a program to an interface for as long as the returned descriptor (or its copy) is open. Negative errno on error.
static inline int sluice_bpf_link(int program, int interface_index, unsigned xdp_flags) {
    struct bpf_link_create_opts options = {.sz = sizeof options, .flags = xdp_flags};
    return bpf_link_create(program, interface_index, BPF_XDP, &options);
}

/// Detaches the program `expected` that was attached without a link. 0 or negative errno.
static inline int sluice_bpf_detach(int interface_index, unsigned xdp_flags, int expected) {
    struct bpf_xdp_attach_opts options = {.sz = sizeof options, .old_prog_fd = expected};
    return bpf_xdp_detach(interface_index, xdp_flags, &options);
}

/// The ids of the programs attached to an interface: native, generic, offloaded; 0 is none. 0 or negative errno.
static inline int sluice_bpf_query(int interface_index, __u32 ids[3]) {
    struct bpf_xdp_query_opts options = {.sz = sizeof options};
    int error = bpf_xdp_query(interface_index, 0, &options);
    if (error)
        return error;
    ids[0] = options.drv_prog_id;
    ids[1] = options.skb_prog_id;
    ids[2] = options.hw_prog_id;
    return 0;
}
