/// The reason why a packet was not carried on. Every cause has its own case, so that a counter always names one remedy.
///
/// Raw values are contiguous from 0 and index `DropCounters`; they may change between versions. The names
/// (`name`) are what people and dashboards rely on, and do not change.
@frozen
public enum DropReason: UInt8, CaseIterable, Sendable {
    // From the wire to the lookup.
    case malformedEthernet
    case unsupportedEthertype
    case malformedIPv4
    case malformedIPv6
    case ipv4Checksum
    case extensionHeaderLimit
    case unexpectedPacket
    case outerFragment
    case malformedESP
    case malformedUDPEncapsulation
    case natKeepalive
    case nonESPMarker
    case unsupportedAH

    // Inbound: from the SPI to the inner packet (RFC 4303 3.4, RFC 4301 5.2).
    case unknownSPI
    case spiDestinationMismatch
    case encapsulationMismatch
    case replayDuplicate
    case replayTooOld
    case replayAtCommit
    case integrityFailure
    case badPadding
    case badTrailer
    case unsupportedNextHeader
    case dummyPacket
    case innerMalformed
    case innerLength
    case selectorMismatch
    case noInboundPolicy
    case inboundProtectionMismatch
    case ecnIllegal

    // Outbound: from the policy to the outer packet (RFC 4301 5.1, RFC 4303 3.3).
    case notEncryptedByPolicy
    case noPolicy
    case noOutboundSA
    case sequenceExhausted
    case lifetimeBytes
    case lifetimePackets
    case lifetimeTime
    case saRetired
    case tooBigSentICMP
    case tooBig
    case fragmentNeedsReassembly
    case cryptoError

    // Forwarding and the machine's own limits.
    case hopLimitExpired
    case noRoute
    case routeUnreachable
    case routeProhibited
    case neighbourUnresolved
    case neighbourQueueFull
    case neighbourFailed
    case egressNotAPort
    case localDeliveryUnavailable
    case icmpRateLimited
    case transmitRingFull
    case outputOverload
    case framePoolEmpty
    case roundOverflow
    case cipherOverload
    case handoverRingFull

    /// The number of reasons: the length of every array that a raw value indexes.
    public static let count = allCases.count
}

extension DropReason {
    /// The attention that a reason deserves when its counter moves.
    public enum Severity: String, Sendable, CaseIterable {
        /// Part of normal operation.
        case info
        /// The network, a peer or the configuration is not as it should be.
        case warning
        /// Traffic that should flow is lost, by forgery or because the gateway lacks something.
        case error
    }

    /// The stable kebab-case name, as counters, logs and `sluice status` print it.
    public var name: String { definition.name }

    /// The attention that the reason deserves.
    public var severity: Severity { definition.severity }

    /// Meaning and remedy: two sentences for a person.
    public var explanation: String { definition.meaning + " " + definition.remedy }

    /// The fate of the packet.
    public var meaning: String { definition.meaning }

    /// The remedy.
    public var remedy: String { definition.remedy }

    /// The reason with the given stable name.
    public init?(name: String) {
        guard let found = Self.definitions.first(where: { $0.name == name }) else { return nil }
        self = found.reason
    }

    /// One row of the tables in `DropDefinitions.swift`.
    struct Definition: Sendable {
        let reason: DropReason
        let name: String
        let severity: Severity
        let meaning: String
        let remedy: String

        init(_ reason: DropReason, _ name: String, _ severity: Severity, _ meaning: String, _ remedy: String) {
            self.reason = reason
            self.name = name
            self.severity = severity
            self.meaning = meaning
            self.remedy = remedy
        }
    }

    /// All rows, in the order of the raw values.
    static let definitions: [Definition] =
        receiveDefinitions + inboundDefinitions + outboundDefinitions + forwardDefinitions

    private var definition: Definition { Self.definitions[Int(rawValue)] }
}

extension DropReason: CustomStringConvertible {
    public var description: String { name }
}
