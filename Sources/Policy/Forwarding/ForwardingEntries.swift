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
        /// To this host.
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

/// What the host knows about a neighbour on a link.
public struct NeighbourEntry: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case resolved(MACAddress)
        /// The kernel is asking for it.
        case unresolved
        /// It did not answer.
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
