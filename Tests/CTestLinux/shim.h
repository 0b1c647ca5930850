// What the tests need of Linux and Swift's Glibc does not offer: network namespaces, packet sockets, batched sends.
// System calls by number: _GNU_SOURCE would give types another shape here than in Swift's other C modules.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Moves the calling thread into the network namespace behind `fd`. Returns 0 or an errno value.
static inline int sluice_test_enter_namespace(int fd) { return syscall(SYS_setns, fd, 0x40000000 /* CLONE_NEWNET */) == 0 ? 0 : errno; }

/// Gives the calling process a mount namespace of its own with a BPF file system in it. Returns 0 or an errno value.
static inline int sluice_test_mount_bpf(void) {
    if (syscall(SYS_unshare, 0x00020000 /* CLONE_NEWNS */) || syscall(SYS_mount, 0, "/", 0, 0x44000 /* private, all */, 0)) return errno;
    return syscall(SYS_mount, "bpf", "/sys/fs/bpf", "bpf", 0, 0) == 0 ? 0 : errno;
}

/// Leaves the calling thread CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_PERFMON and CAP_BPF, as
/// the systemd unit does.
/// Returns 0 or an errno value.
static inline int sluice_test_drop_capabilities(void) {
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    uint32_t low = 1u << 10 | 1u << 12 | 1u << 13 | 1u << 14, high = 1u << (38 - 32) | 1u << (39 - 32);
    struct { uint32_t effective, permitted, inheritable; } sets[2] = {{low, low, 0}, {high, high, 0}};
    return syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

/// Takes an exclusive lock on `fd` without waiting. Returns 0 or an errno value.
static inline int sluice_test_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

// linux/if_packet.h collides with other headers in one Clang module; these few names are its stable ABI.
struct sluice_test_link_address {
    uint16_t family, protocol;
    int32_t interface_index;
    uint16_t hardware_type;
    uint8_t packet_type, address_length, address[8];
};
enum { SLUICE_TEST_SOL_PACKET = 263, SLUICE_TEST_QDISC_BYPASS = 20, SLUICE_TEST_IGNORE_OUTGOING = 23 };

/// Opens a packet socket on `interface` in the calling thread's namespace that sends and receives whole Ethernet
/// frames. `receive` false: a socket that only sends. Returns the descriptor, or a negative errno value.
static inline int sluice_test_open_packet_socket(const char *interface, int receive, int ignore_outgoing) {
    unsigned index = if_nametoindex(interface);
    if (index == 0) return -errno;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int one = 1, buffer = 64 << 20;
    setsockopt(fd, SLUICE_TEST_SOL_PACKET, SLUICE_TEST_QDISC_BYPASS, &one, sizeof one);
    if (ignore_outgoing)
        setsockopt(fd, SLUICE_TEST_SOL_PACKET, SLUICE_TEST_IGNORE_OUTGOING, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    struct sluice_test_link_address address = {0};
    address.family = AF_PACKET;
    address.protocol = receive ? htons(3 /* ETH_P_ALL */) : 0;
    address.interface_index = (int32_t)index;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/// Sends `count` (at most 64) frames that lie `stride` bytes apart. Returns how many went, or a negative errno value.
static inline int sluice_test_send_frames(int fd, const uint8_t *frames, uint32_t stride, const uint32_t *lengths,
                                          unsigned count) {
    struct {
        struct msghdr msg_hdr;
        unsigned sent;
    } messages[64];
    struct iovec vectors[64];
    if (count > 64) count = 64;
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < count; i++) {
        vectors[i].iov_base = (void *)(frames + (size_t)i * stride);
        vectors[i].iov_len = lengths[i];
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = (int)syscall(SYS_sendmmsg, fd, messages, count, 0);
    return sent >= 0 ? sent : -errno;
}
