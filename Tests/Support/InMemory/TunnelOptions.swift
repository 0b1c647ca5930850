import Cryptography
import IPsec
import Packets

/// What a test may want of the SAs between two sites.
public struct TunnelOptions: Sendable, CustomStringConvertible {
    public var outer = AddressFamily.ipv4
    public var transform = ESPTransform.aes128GCM16
    public var extended = false
    public var isEncapsulated = false
    public var replayWindow = 1024
    /// Both ends: the last sequence number that counts as used.
    public var initialSequence: UInt64 = 0
    /// SAs in each direction; the workers own them in turn.
    public var associations = 1
    /// The cipher engine of the sites that send and receive.
    public var engine: any ESPEngine = OpenSSLEngine()
    /// Anything else, for each SA in turn.
    public var change: @Sendable (inout SAParameters) -> Void = { _ in }

    public init() {}

    /// Options that differ from the defaults in what `change` sets.
    public init(_ change: (inout TunnelOptions) -> Void) { change(&self) }

    public var description: String {
        "\(transform.name) over IPv\(outer.rawValue)\(extended ? ", ESN" : "")\(isEncapsulated ? ", in UDP" : "")"
    }

    /// The parameters of the SA with this number from one site to another.
    public func parameters(from: SitePlan, to: SitePlan, number: Int, owner: Int) -> SAParameters {
        let seed = Int(from.number) * 31 + number
        var parameters = SAParameters(
            spi: Self.spi(from: from, to: to, number: number), source: from.wanAddress(outer),
            destination: to.wanAddress(outer), transform: transform,
            key: SecretBytes(
                copying: (0..<transform.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ seed &+ 1) }),
            requestID: Self.requestID(from, to), replayWindow: replayWindow, extendedSequenceNumbers: extended,
            encapsulation: isEncapsulated ? UDPEncapsulation(sourcePort: 4500, destinationPort: 4500) : nil,
            initialSequence: initialSequence, initialReplaySequence: initialSequence, owner: owner)
        change(&parameters)
        return parameters
    }

    /// 0x1000 from site 1 to site 2; one request id per pair of sites.
    public static func spi(from: SitePlan, to: SitePlan, number: Int) -> SPI {
        SPI(from.number << 12 | (to.number == from.number % 2 + 1 ? 0 : to.number << 8) | UInt32(number))
    }

    public static func requestID(_ one: SitePlan, _ other: SitePlan) -> UInt32 {
        min(one.number, other.number) * 16 + max(one.number, other.number)
    }
}
