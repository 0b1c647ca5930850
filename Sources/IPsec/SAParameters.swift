import Cryptography
import Packets

/// ESP in UDP for the way through a NAT (RFC 3948). Ports in host order, as the packets of this SA carry them.
public struct UDPEncapsulation: Hashable, Sendable {
    public var sourcePort: UInt16
    public var destinationPort: UInt16

    public init(sourcePort: UInt16, destinationPort: UInt16) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }
}

/// The DF bit of the outer IPv4 header (RFC 4301 section 5.1.2.1, note 4).
public enum DFPolicy: String, Hashable, Sendable, CaseIterable {
    /// The bit of the inner packet; an inner IPv6 packet counts as one that must not be fragmented.
    case copy
    case set
    case clear
}

/// Everything that one security association is made from; one direction, one key.
public struct SAParameters: Sendable {
    /// Host order; never 0, and 1...255 are reserved (RFC 4303 section 2.1).
    public var spi: SPI
    /// The outer source: our side of an outbound SA, the peer's of an inbound one.
    public var source: IPAddress
    public var destination: IPAddress
    public var securityProtocol: SAProtocol
    public var mode: SAMode
    public var transform: ESPTransform
    /// Encryption key, salt and integrity key, in the order that the cipher engine takes them.
    public var key: SecretBytes
    /// Joins policies and SAs.
    public var requestID: UInt32
    /// Packets; 0 turns the replay check off, else 32...65536.
    public var replayWindow: Int
    public var extendedSequenceNumbers: Bool
    public var encapsulation: UDPEncapsulation?
    /// Inbound: ESP is taken in UDP and bare, whatever `encapsulation` says, as IKEv2 wants it (RFC 7296 section 2.23).
    public var acceptsEitherEncapsulation: Bool
    /// The packets that an inbound SA may carry, as selectors of inner packets; none: all, which leaves the check to
    /// policies.
    public var selectors: [TrafficSelector]
    public var lifetime: Lifetime
    /// Outbound: the last sequence number that was already used; the first packet has the next one.
    public var initialSequence: UInt64
    /// Inbound: the highest sequence number already seen; it and all before it are taken as replays.
    public var initialReplaySequence: UInt64
    /// Outbound: the outer DSCP is that of the inner packet, else 0 (RFC 2983 uniform and pipe model).
    public var copyDSCP: Bool
    /// ECN by RFC 6040 in normal mode; without it the outer field is 0 and is ignored on arrival.
    public var ecn: Bool
    public var dontFragment: DFPolicy
    /// TTL or hop limit of the outer header (RFC 4301 section 5.1.2.1, note 2: constructed).
    public var outerHopLimit: UInt8
    /// Keyed by hand: the key outlives a restart, so explicit IVs begin at a value that no earlier run used.
    public var isManual: Bool
    /// The worker that processes the SA.
    public var owner: Int
    /// The name in status: the connection and the name of a CHILD_SA; empty for manual keys.
    public var name: String

    public init(
        spi: SPI, source: IPAddress, destination: IPAddress, securityProtocol: SAProtocol = .esp,
        mode: SAMode = .tunnel, transform: ESPTransform, key: SecretBytes, requestID: UInt32 = 0,
        replayWindow: Int = 1024, extendedSequenceNumbers: Bool = false,
        encapsulation: UDPEncapsulation? = nil, acceptsEitherEncapsulation: Bool = false,
        selectors: [TrafficSelector] = [], lifetime: Lifetime = .unlimited,
        initialSequence: UInt64 = 0, initialReplaySequence: UInt64 = 0, copyDSCP: Bool = true, ecn: Bool = true,
        dontFragment: DFPolicy = .copy, outerHopLimit: UInt8 = 64, isManual: Bool = false, owner: Int = 0,
        name: String = ""
    ) {
        self.spi = spi
        self.source = source
        self.destination = destination
        self.securityProtocol = securityProtocol
        self.mode = mode
        self.transform = transform
        self.key = key
        self.requestID = requestID
        self.replayWindow = replayWindow
        self.extendedSequenceNumbers = extendedSequenceNumbers
        self.encapsulation = encapsulation
        self.acceptsEitherEncapsulation = acceptsEitherEncapsulation
        self.selectors = selectors
        self.lifetime = lifetime
        self.initialSequence = initialSequence
        self.initialReplaySequence = initialReplaySequence
        self.copyDSCP = copyDSCP
        self.ecn = ecn
        self.dontFragment = dontFragment
        self.outerHopLimit = outerHopLimit
        self.isManual = isManual
        self.owner = owner
        self.name = name
    }

    /// The name by which packets find an inbound SA.
    public var saKey: SAKey { SAKey(securityProtocol, spi: spi) }

    /// The same without the key, for whoever describes an SA whose key is set already: the fewer copies, the better.
    public var withoutKey: SAParameters {
        var copy = self
        copy.key = SecretBytes(count: 0) { _ in }
        return copy
    }

    /// The highest sequence number that the SA may use (RFC 4303 section 3.3.3).
    public var maximumSequence: UInt64 { extendedSequenceNumbers ? UInt64.max : UInt64(UInt32.max) }
}

extension SAParameters {
    /// Throws what keeps an SA from being made of these parameters, apart from the key; returns the SA's kind.
    func validate() throws(SAError) -> SAKind {
        let kind = try SAKind(securityProtocol, mode)
        guard spi.isUsable || (isManual && spi > 0) else { throw .reservedSPI(spi) }
        guard source.family == destination.family else { throw .mixedAddressFamilies }
        guard replayWindow == 0 || (32...65_536).contains(replayWindow) else { throw .replayWindow(replayWindow) }
        guard initialSequence <= maximumSequence else { throw .initialSequence(initialSequence) }
        guard initialReplaySequence <= maximumSequence else { throw .initialSequence(initialReplaySequence) }
        guard (0...Int(UInt16.max)).contains(owner) else { throw .owner(owner) }
        return kind
    }

    /// The largest inner packet in bytes whose outer packet has at most `pathMTU` bytes; 0 when there is none.
    ///
    /// Padding fills the payload up to the transform's alignment, two bytes of which are the trailer.
    public func innerMTU(pathMTU: Int) -> Int {
        let headers = OuterHeaderTemplate.headerLength(
            family: source.family, isEncapsulated: encapsulation != nil)
        let room = pathMTU - headers - 8 - transform.ivLength - transform.icvLength
        return max(0, room / transform.alignment * transform.alignment - 2)
    }
}

/// Why an SA cannot be made from its parameters.
public enum SAError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A mode that is not processed: only tunnel mode is.
    case unsupportedMode(SAMode)
    /// A protocol that is not processed: only ESP is.
    case unsupportedProtocol(SAProtocol)
    /// SPIs 0...255 are reserved (RFC 4303 section 2.1).
    case reservedSPI(SPI)
    case mixedAddressFamilies
    /// Neither 0 nor 32...65536.
    case replayWindow(Int)
    /// The initial sequence number is beyond what the SA may use.
    case initialSequence(UInt64)
    /// The owner is not a worker index.
    case owner(Int)
    /// The engine refused the transform or the key.
    case cryptography(CryptographyError)

    public var description: String {
        switch self {
        case .unsupportedMode(let mode): "\(mode.rawValue) mode is not supported; use tunnel mode"
        case .unsupportedProtocol(let name): "\("\(name)".uppercased()) is not supported; use ESP"
        case .reservedSPI(let spi): "SPI \(spi) is reserved; choose one from 256 on"
        case .mixedAddressFamilies: "the outer source and destination are of different address families"
        case .replayWindow(let size): "a replay window of \(size) packets is not supported; use 0 (off) or 32 to 65536"
        case .initialSequence(let sequence): "sequence number \(sequence) is out of range; only ESN goes beyond 2^32-1"
        case .owner(let owner): "\(owner) is not a worker index"
        case .cryptography(let error): "\(error)"
        }
    }
}
