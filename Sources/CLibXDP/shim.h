// AF_XDP sockets: libxdp's socket set-up, the kernel's constants, and the two wake-ups of the hot path.
#pragma once
#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

/// Marks a C function that neither allocates nor locks, so that Swift's performance diagnostics accept it.
#define SLUICE_XDP_HOT __attribute__((swift_attr("@_noLocks"))) __attribute__((swift_attr("@_noAllocation")))

/// Makes the kernel look at the transmit ring. Returns 0 or an errno value.
SLUICE_XDP_HOT static inline int sluice_xsk_send(int fd) {
    return sendto(fd, 0, 0, MSG_DONTWAIT, 0, 0) < 0 ? errno : 0;
}

/// Makes the driver look at the fill ring, or busy-polls it. Returns 0 or an errno value.
SLUICE_XDP_HOT static inline int sluice_xsk_receive(int fd) {
    return recvfrom(fd, 0, 0, MSG_DONTWAIT, 0, 0) < 0 ? errno : 0;
}
