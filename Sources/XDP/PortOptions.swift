import CLibBPF
public import Packets

/// The place where the XDP program runs.
public enum XDPMode: String, Sendable, CaseIterable {
    /// Native when the driver can, else generic.
    case auto
    /// The driver, before the kernel allocates a packet buffer.
    case native
    /// The network stack: any driver, slower.
    case generic
}

/// The way of packets into the UMEM.
public enum CopyMode: String, Sendable, CaseIterable {
    /// Zero-copy when the driver can, else copy.
    case auto
    /// The kernel copies each packet.
    case copy
    /// The NIC reads and writes the UMEM itself.
    case zeroCopy = "zero-copy"
}

/// The modes that a port got, and why.
public struct PortMode: Sendable, Equatable, CustomStringConvertible {
    /// `native` or `generic`.
    public var xdp: XDPMode
    /// `copy` or `zeroCopy`.
    public var copy: CopyMode
    /// Why not native, or that it was asked for; empty when nothing had to be given up.
    public var xdpReason: String
    /// Why not zero-copy, or that it was asked for; empty when nothing had to be given up.
    public var copyReason: String

    /// For example "native, copy (zero-copy: the driver doesn't support it)".
    public var description: String {
        let reasons = [xdpReason, copyReason].filter { !$0.isEmpty }.joined(separator: "; ")
        return "\(xdp.rawValue), \(copy.rawValue)" + (reasons.isEmpty ? "" : " (\(reasons))")
    }
}

/// The roles of a port (`SLUICE_ROLE_*` of `bpf/steering.h`); it may be both.
@frozen
public struct PortRoles: OptionSet, Sendable, Hashable, BitwiseCopyable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Plain traffic of the protected networks.
    public static let lan = PortRoles(rawValue: 1)
    /// Protected traffic to and from the peers.
    public static let wan = PortRoles(rawValue: 2)
}

/// Options for opening a port.
public struct PortOptions: Sendable {
    /// The number of queues to open, from queue 0 on; nil opens all that the driver has in use.
    public var queueCount: Int?
    /// Elements of each ring; a power of two.
    public var ringSize = 2048
    /// The place where the XDP program runs.
    public var xdpMode = XDPMode.auto
    /// The way of packets into the UMEM.
    public var copyMode = CopyMode.auto
    /// Preferred busy polling: the worker's system calls drive the NIC. nil is interrupt-driven.
    public var busyPoll: BusyPoll?
    /// The UDP port of encapsulated ESP (RFC 3948).
    public var encapsulationPort: UInt16 = IPsecPort.encapsulation
    /// Whether to remove an XDP program that isn't ours.
    public var force = false

    /// Busy polling parameters.
    public struct BusyPoll: Sendable {
        /// The time for which one system call may poll.
        public var microseconds: Int32 = 20
        /// The most packets that one poll may take.
        public var budget: Int32 = 64
        public init() {}
    }

    public init() {}
}

/// One of the host's interfaces on a port, as frames name it: the port itself, a VLAN on it, or a MAC-VLAN.
///
/// Frames for other MAC addresses or with other tags are not for this host, whatever IP addresses they carry.
public struct PortLink: Hashable, Sendable {
    public var macAddress: MACAddress
    /// The 802.1Q identifier; nil: without a tag, or with one that only gives a priority.
    public var vlan: UInt16?
    public var roles: PortRoles

    public init(_ macAddress: MACAddress, vlan: UInt16? = nil, roles: PortRoles) {
        self.macAddress = macAddress
        self.vlan = vlan
        self.roles = roles
    }

    var key: sluice_link {
        var key = sluice_link()
        withUnsafeMutableBytes(of: &key.mac) { bytes in
            if let base = bytes.baseAddress { macAddress.store(to: base) }
        }
        key.vlan = vlan ?? 0
        return key
    }
}
