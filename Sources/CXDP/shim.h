// AF_XDP sockets: the kernel's own interface, the questions about an interface, and the two wake-ups of the hot path.
#pragma once
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

/// What the headers of older systems lack, or Glibc does not show.
enum {
    SLUICE_AF_XDP = 44,
    SLUICE_SOL_XDP = 283,
    SLUICE_XDP_MAX_TX_SKB_BUDGET = 9, // since Linux 6.18
    SLUICE_SO_BUSY_POLL = 46,
    SLUICE_SO_PREFER_BUSY_POLL = 69,
    SLUICE_SO_BUSY_POLL_BUDGET = 70,
};

/// One interface question by ioctl. Returns 0 or an errno value.
static inline int sluice_interface_ioctl(const char *name, unsigned long request, struct ifreq *answer) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    strncpy(answer->ifr_name, name, IFNAMSIZ - 1);
    int error = ioctl(fd, request, answer) < 0 ? errno : 0;
    close(fd);
    return error;
}

/// The interface's flags (IFF_UP, ...) and MTU. Returns 0 or an errno value.
static inline int sluice_interface_state(const char *name, int *flags, int *mtu) {
    struct ifreq request = {0};
    int error = sluice_interface_ioctl(name, SIOCGIFFLAGS, &request);
    *flags = (unsigned short)request.ifr_flags;
    if (!error)
        error = sluice_interface_ioctl(name, SIOCGIFMTU, &request);
    *mtu = request.ifr_mtu;
    return error;
}

/// How many receive queues the driver has in use; 0 when it does not say.
static inline unsigned sluice_interface_receive_queues(const char *name) {
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (char *)&channels};
    if (sluice_interface_ioctl(name, SIOCETHTOOL, &request))
        return 0;
    return channels.rx_count + channels.combined_count;
}

/// The interface's own MAC address. Returns 0 or an errno value.
static inline int sluice_interface_address(const char *name, unsigned char mac[6]) {
    struct ifreq request = {0};
    int error = sluice_interface_ioctl(name, SIOCGIFHWADDR, &request);
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    return error;
}

/// The name of the interface's driver, empty when it does not say.
static inline void sluice_interface_driver(const char *name, char driver[32]) {
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (char *)&info};
    driver[0] = 0;
    if (sluice_interface_ioctl(name, SIOCETHTOOL, &request))
        return;
    memcpy(driver, info.driver, 32);
    driver[31] = 0;
}

/// Makes the driver leave VLAN tags in the frames, where the steering program sees them. Returns 0 or an errno value; a driver
/// without such features does so anyway.
static inline int sluice_interface_keep_tags(const char *name) {
    struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq request = {.ifr_data = (char *)&flags};
    if (sluice_interface_ioctl(name, SIOCETHTOOL, &request) || !(flags.data & ETH_FLAG_RXVLAN))
        return 0;
    flags.cmd = ETHTOOL_SFLAGS;
    flags.data &= ~(__u32)ETH_FLAG_RXVLAN;
    request.ifr_data = (char *)&flags;
    return sluice_interface_ioctl(name, SIOCETHTOOL, &request);
}
