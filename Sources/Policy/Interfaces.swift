import Packets

/// An interface of a port: the port itself, or a VLAN on it. What the gateway may send out of.
public struct PortInterface: Hashable, Sendable {
    /// The kernel's interface index, which routes and neighbours refer to.
    public var interfaceIndex: UInt32
    /// The port's number in the dataplane.
    public var port: UInt16
    /// 802.1Q tag of the frames, 1...4094; nil: untagged.
    public var vlan: UInt16?
    public var linkAddress: MACAddress
    /// Largest IP packet in bytes.
    public var mtu: Int
    /// Administratively up and with carrier.
    public var isUp: Bool
    /// The gateway's own addresses on it. Global ones are preferred as the source of ICMP errors, in this order.
    public var addresses: [IPAddress]

    public init(
        interfaceIndex: UInt32, port: UInt16, vlan: UInt16? = nil, linkAddress: MACAddress, mtu: Int = 1500,
        isUp: Bool = true, addresses: [IPAddress] = []
    ) {
        self.interfaceIndex = interfaceIndex
        self.port = port
        self.vlan = vlan
        self.linkAddress = linkAddress
        self.mtu = mtu
        self.isUp = isUp
        self.addresses = addresses
    }
}

/// One route of the host.
public struct RouteEntry: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Through an interface: to a gateway, or to the destination itself when there is none.
        case unicast(interfaceIndex: UInt32, gateway: IPAddress?)
        /// The destination is this host.
        case local
        /// Refused with ICMP "host unreachable".
        case unreachable
        /// Refused without a word.
        case blackhole
        /// Refused with ICMP "administratively prohibited".
        case prohibit
    }

    public var prefix: IPPrefix
    public var kind: Kind
    /// Among routes to the same prefix the lowest metric wins, then the first.
    public var metric: UInt32

    public init(prefix: IPPrefix, kind: Kind, metric: UInt32 = 0) {
        self.prefix = prefix
        self.kind = kind
        self.metric = metric
    }
}

/// The host's knowledge about a neighbour on a link.
public struct NeighbourEntry: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case resolved(MACAddress)
        /// The kernel is asking for it.
        case unresolved
        /// The neighbour did not answer.
        case failed
    }

    public var interfaceIndex: UInt32
    public var address: IPAddress
    public var state: State

    public init(interfaceIndex: UInt32, address: IPAddress, state: State) {
        self.interfaceIndex = interfaceIndex
        self.address = address
        self.state = state
    }
}

/// An address of the gateway's own, and the interface of a port that has it: where ICMP errors may come from.
@frozen
public struct OwnAddress: BitwiseCopyable, Sendable {
    public let address: IPAddress
    public let port: UInt16
    /// 0: the port itself, else a VLAN on it.
    public let vlan: UInt16

    /// Whether routers pass on what comes from it.
    @inlinable
    public var isGlobal: Bool { !address.isLinkLocal }

    /// The rank of an interface as the source of an answer to a frame of this VLAN, the best being 0: first the
    /// interface that the frame came from, then the port itself, then any other VLAN of the port; a global address of
    /// any before link-local ones.
    @inlinable
    func rank(forVLAN wanted: UInt16) -> Int {
        (vlan == wanted ? 0 : vlan == 0 ? 1 : 2) &+ (isGlobal ? 0 : 3)
    }
}

extension HotArray where Element == OwnAddress {
    /// All addresses of all interfaces, the global ones first, else in the given order.
    static func ownAddresses(_ interfaces: [PortInterface]) -> HotArray<OwnAddress> {
        let all = interfaces.flatMap { interface in
            interface.addresses.filter(\.isSingleHost).map {
                OwnAddress(address: $0, port: interface.port, vlan: interface.vlan ?? 0)
            }
        }
        return HotArray(all.filter(\.isGlobal) + all.filter { !$0.isGlobal })
    }
}
