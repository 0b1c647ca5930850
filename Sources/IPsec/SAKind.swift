import Cryptography
import Packets
import Telemetry

/// The protocol of an SA, by its number in the IP header.
@frozen
public enum SAProtocol: UInt8, Hashable, Sendable, BitwiseCopyable, CaseIterable {
    /// RFC 4303.
    case esp = 50
    /// RFC 4302.
    case ah = 51
}

/// The name of an inbound SA as its packets carry it (RFC 4301 section 4.1): SAs of two protocols may have one SPI.
public struct SAKey: Hashable, Sendable {
    public let securityProtocol: SAProtocol
    public let spi: SPI

    public init(_ securityProtocol: SAProtocol, spi: SPI) {
        self.securityProtocol = securityProtocol
        self.spi = spi
    }
}

/// The mode of an SA, by what is carried inside of it (RFC 4301 section 4.1).
public enum SAMode: String, Hashable, Sendable, CaseIterable {
    /// A whole IP packet.
    case tunnel
    /// The next layer of the packet, without its IP header.
    case transport
    /// As transport, with the addresses of a tunnel's inner packet made anew from the SA ("bound end-to-end tunnel").
    case beet
}

/// The kind of an SA: a protocol in a mode that workers process. All that depends on it is behind `InboundKind` and
/// `OutboundKind`; workers ask for the kind once for a run of packets, and call its steps by name.
///
/// A kind that is not here has no SA: `SAKind.init` refuses it before a key is set, so that no packet can pass by it.
@frozen
public enum SAKind: Hashable, Sendable, BitwiseCopyable, CaseIterable {
    /// ESP in tunnel mode, bare or in UDP (`ESPInbound`, `ESPOutbound`).
    case espTunnel

    public init(_ securityProtocol: SAProtocol, _ mode: SAMode) throws(SAError) {
        switch (securityProtocol, mode) {
        case (.esp, .tunnel): self = .espTunnel
        case (.esp, .transport), (.esp, .beet): throw .unsupportedMode(mode)
        case (.ah, _): throw .unsupportedProtocol(securityProtocol)
        }
    }

    @inlinable public var securityProtocol: SAProtocol {
        switch self {
        case .espTunnel: .esp
        }
    }
}

/// The header of an SA's protocol within a packet that has arrived.
@frozen
public struct SecurityHeader: BitwiseCopyable {
    public var start: UnsafeMutableRawPointer
    /// Bytes from there to the end of the packet.
    public var length: Int
    public var isEncapsulated: Bool

    @inlinable
    public init(start: UnsafeMutableRawPointer) {
        self.start = start
        length = 0
        isEncapsulated = false
    }
}

/// The bytes that an SA has protected, before anybody has looked at them.
@frozen
public struct OpenedPayload: BitwiseCopyable {
    /// The inner packet, if it is one.
    public var start: UnsafeMutableRawPointer
    /// Bytes from there to the padding: the packet, then TFC padding.
    public var available: Int
    /// The family by the next header field.
    public var family: AddressFamily

    @inlinable
    public init(start: UnsafeMutableRawPointer) {
        self.start = start
        available = 0
        family = .ipv4
    }
}

/// The steps of an inbound packet that depend on the kind of its SA, in their order. The cipher is between `prepare` and `unwrap`.
/// Selectors and policies (`ESPInbound.accept`) ask nothing but the packet that `unwrap` gives.
public protocol InboundKind {
    static var kind: SAKind { get }

    /// Finds the protocol's header behind the outer IP header. Called before the SA is known: the same for all kinds of a protocol.
    static func locate(
        _ upper: UnsafeMutableRawPointer, protocolNumber: UInt8, length: Int, header: inout SecurityHeader
    ) -> Verdict

    /// Whether the SA is for packets with this outer destination and encapsulation.
    static func admit(
        _ sa: UnsafeMutablePointer<InboundRuntime>, destination: IPAddress, isEncapsulated: Bool
    ) -> Verdict

    /// Everything before the cipher; fills the operation.
    static func prepare(
        _ sa: UnsafeMutablePointer<InboundRuntime>, header: UnsafeMutableRawPointer, length: Int,
        operation: UnsafeMutablePointer<ESPOperation>
    ) -> Verdict

    /// Everything behind the cipher up to a packet to be looked at.
    static func unwrap(
        _ sa: UnsafeMutablePointer<InboundRuntime>, operation: UnsafePointer<ESPOperation>, now: UInt64,
        payload: inout OpenedPayload
    ) -> Verdict

    /// The last step for a packet that was accepted: what it takes over from the outer header, and the SA's counters.
    static func complete(
        _ sa: UnsafeMutablePointer<InboundRuntime>, packet: UnsafeMutableRawPointer, length: Int, family: AddressFamily,
        trafficClass: inout UInt8, outerTrafficClass: UInt8, now: UInt64
    ) -> Verdict
}

/// The steps of an outbound packet that depend on the kind of its SA. The cipher is between them.
public protocol OutboundKind {
    static var kind: SAKind { get }

    /// Everything before the cipher: sequence number and headers; fills the operation and tells where the outer packet is.
    static func prepare(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, inner: UnsafeMutableRawPointer, innerLength: Int,
        trafficClass: UInt8, nextHeader: UInt8, dontFragment: Bool, now: UInt64,
        operation: UnsafeMutablePointer<ESPOperation>, outer: inout OuterPacket
    ) -> Verdict

    /// Everything behind the cipher.
    static func finish(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, operation: UnsafePointer<ESPOperation>, outer: OuterPacket
    ) -> Verdict
}
