// libxdp: attaches the steering program beside others where the kernel allows several on an interface.
#pragma once
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <xdp/libxdp.h>

/// Attaches the program of an object that is not loaded yet: through libxdp's dispatcher, or alone where the kernel has none.
/// 0 or negative errno.
static inline int sluice_xdp_attach(struct bpf_object *object, int interface_index, bool native, unsigned priority) {
    libxdp_set_print(0);
    struct xdp_program *program = xdp_program__from_bpf_obj(object, "xdp");
    long failure = libxdp_get_error(program);
    if (failure)
        return (int)failure;
    int error = xdp_program__set_run_prio(program, priority);
    if (!error)
        error = xdp_program__attach(program, interface_index, native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0);
    xdp_program__close(program);
    return error;
}

/// Writes the ids of the programs behind the interface's dispatcher, as many as there is room for; returns how many, 0 when there
/// is no dispatcher.
static inline int sluice_xdp_list(int interface_index, unsigned *ids, int room) {
    libxdp_set_print(0);
    struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(interface_index);
    if (!all || libxdp_get_error(all))
        return 0;
    int count = 0;
    struct xdp_program *program = 0;
    while (count < room && !xdp_multiprog__is_legacy(all) && (program = xdp_multiprog__next_prog(program, all)))
        ids[count++] = xdp_program__id(program);
    xdp_multiprog__close(all);
    return count;
}

/// Takes the program with this id out of the interface's dispatcher. 0 or negative errno.
static inline int sluice_xdp_detach(int interface_index, unsigned id) {
    libxdp_set_print(0);
    struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(interface_index);
    if (!all || libxdp_get_error(all))
        return -ENOENT;
    enum xdp_attach_mode mode = xdp_multiprog__attach_mode(all);
    xdp_multiprog__close(all);
    struct xdp_program *program = xdp_program__from_id(id);
    long failure = libxdp_get_error(program);
    if (failure)
        return (int)failure;
    int error = xdp_program__detach(program, interface_index, mode, 0);
    xdp_program__close(program);
    return error;
}

/// Whether libxdp's pins would go with this process's mount namespace, as `ip netns exec` makes one: the dispatcher would
/// lose its programs then. Without a BPF file system libxdp pins nothing and attaches the program alone.
static inline bool sluice_bpffs_is_private(void) {
    struct statfs kind;
    struct stat own, first;
    if (statfs("/sys/fs/bpf", &kind) || (unsigned long)kind.f_type != BPF_FS_MAGIC || stat("/sys/fs/bpf", &own))
        return false;
    // Without CAP_SYS_PTRACE it cannot be told; nobody but `ip netns exec` and its like makes such a namespace for us then.
    return !stat("/proc/1/root/sys/fs/bpf", &first) && first.st_dev != own.st_dev;
}
