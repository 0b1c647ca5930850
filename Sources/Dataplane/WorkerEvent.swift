import Packets

/// What a worker tells the control thread.
public struct WorkerEvent: BitwiseCopyable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// A packet from `source` waits for the neighbour `address` on the interface `number`: ask the kernel to resolve it.
        case neighbourWanted
        /// A policy with the request id `number` wants protection for a packet from `source` to `address`, and there is no
        /// SA that takes it.
        case acquire
        /// Authenticated packets for the inbound SA with the SPI `number` (host order) come from another place than
        /// before: from `address`, UDP port `sourcePort`.
        case mappingChanged
        /// A watched peer at `address` sends ESP with the SPI `number` (host order), for which there is no SA.
        case unknownSPI
    }

    public var kind: Kind
    /// Of a packet that wants an SA; ports of later fragments are 0, and ICMP type and code are the source port.
    public var isLaterFragment = false
    public var upperProtocol: UInt8 = 0
    public var sourcePort: UInt16 = 0
    public var destinationPort: UInt16 = 0
    public var number: UInt32
    public var address: IPAddress
    public var source: IPAddress
    /// Who brought a packet that wants a neighbour: the SPI (host order) of the tunnel that it came out of, the number of the
    /// port of arrival, or `ownPackets`.
    public var requester: UInt32 = 0

    /// The requester of packets that are on their way to a peer.
    public static var ownPackets: UInt32 { .max }

    init(_ kind: Kind, number: UInt32, address: IPAddress) {
        self.kind = kind
        self.number = number
        self.address = address
        source = .unspecified(address.family)
    }
}
