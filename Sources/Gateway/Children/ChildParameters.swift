import Cryptography
import IKEv2
import IPsec
import Packets

/// The parameters of SAs, from what IKEv2 has negotiated.
enum ChildParameters {
    /// The number of sequence numbers of 2^32 that may be used before a new SA is wanted: a rekey has time at any rate
    /// of packets.
    static let lastComfortableSequence: UInt64 = (1 << 32) / 8 * 7

    /// - Parameters:
    ///   - requestID: of what covers the SA, which is for all SAs of a child, whoever the peers are.
    ///   - replayWindow: of children that name none.
    static func inbound(_ sa: ChildSA, requestID: UInt32, replayWindow: Int, owner: Int) -> SAParameters {
        var parameters = both(sa, owner: owner)
        parameters.requestID = requestID
        parameters.spi = sa.inboundSPI
        parameters.source = sa.path.remote.address
        parameters.destination = sa.path.local.address
        parameters.key = sa.inboundKey
        parameters.encapsulation = inboundEncapsulation(sa.path, sa.isEncapsulated)
        // RFC 7296 section 2.23: either form, at any time.
        parameters.acceptsEitherEncapsulation = true
        parameters.selectors = sa.selectors.map(\.reversed)
        parameters.replayWindow = sa.child.replayWindow ?? replayWindow
        return parameters
    }

    static func outbound(_ sa: ChildSA, owner: Int) -> SAParameters {
        var parameters = both(sa, owner: owner)
        parameters.spi = sa.outboundSPI
        parameters.source = sa.path.local.address
        parameters.destination = sa.path.remote.address
        parameters.key = sa.outboundKey
        parameters.encapsulation = outboundEncapsulation(sa.path, sa.isEncapsulated)
        parameters.selectors = sa.selectors
        if !sa.extendedSequenceNumbers {
            let configured = parameters.lifetime.softPackets ?? .max
            parameters.lifetime.softPackets = min(configured, lastComfortableSequence)
        }
        return parameters
    }

    static func inboundEncapsulation(_ path: Path, _ isEncapsulated: Bool) -> UDPEncapsulation? {
        isEncapsulated
            ? UDPEncapsulation(sourcePort: port(path.remote.port), destinationPort: port(path.local.port)) : nil
    }

    static func outboundEncapsulation(_ path: Path, _ isEncapsulated: Bool) -> UDPEncapsulation? {
        isEncapsulated
            ? UDPEncapsulation(sourcePort: port(path.local.port), destinationPort: port(path.remote.port)) : nil
    }

    /// ESP in UDP is never on port 500 (RFC 7296 section 2.23), also where a peer goes on with IKE there.
    private static func port(_ ofIKE: UInt16) -> UInt16 {
        ofIKE == IPsecPort.keyExchange ? IPsecPort.encapsulation : ofIKE
    }

    private static func both(_ sa: ChildSA, owner: Int) -> SAParameters {
        // Time is the session's own: it rekeys, and it deletes.
        let lifetime = Lifetime(
            softBytes: sa.lifetime.softBytes, hardBytes: sa.lifetime.hardBytes, softPackets: sa.lifetime.softPackets,
            hardPackets: sa.lifetime.hardPackets)
        return SAParameters(
            spi: sa.inboundSPI, source: sa.path.remote.address, destination: sa.path.local.address, mode: sa.mode,
            transform: sa.transform, key: sa.inboundKey, requestID: sa.requestID,
            extendedSequenceNumbers: sa.extendedSequenceNumbers, lifetime: lifetime, copyDSCP: sa.child.copiesDSCP,
            ecn: sa.child.copiesECN, dontFragment: sa.child.dontFragment, owner: owner,
            name: "\(sa.connectionName)/\(sa.child.name)")
    }
}
