import Cryptography
import IKEv2Messages
import Packets

/// Knowledge of NATs between the peers (RFC 7296 section 2.23).
struct NATSituation {
    /// The peer takes part in the detection at all, and so can do ESP in UDP.
    var isSupported = false
    /// We are behind one.
    var isLocal = false
    /// The peer is.
    var isRemote = false
    /// `encap = yes`: whether or not there is one.
    var isForced = false

    var isEncapsulated: Bool { isSupported && (isLocal || isRemote || isForced) }

    /// Whether a peer that is heard from elsewhere is there from now on: its NAT has mapped it anew, or it has moved. Not when
    /// we are behind a NAT ourselves, where an attacker has more to gain; then only another port of a peer's NAT is followed
    /// (RFC 7296 section 2.23).
    func follows(from old: Endpoint, to new: Endpoint) -> Bool {
        isSupported && (!isLocal || isRemote && old.address == new.address)
    }
}

/// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP (RFC 7296 section 2.23).
enum NATDetection {
    /// SHA-1 of the SPIs of the message's header, an address and a port.
    static func hash(_ header: IKEHeader, _ endpoint: Endpoint) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(34)
        for spi in [header.initiatorSPI, header.responderSPI] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: spi >> shift)) }
        }
        let address = endpoint.address
        let start = bytes.count
        bytes += [UInt8](repeating: 0, count: address.family.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { address.store(to: base + start) }
        }
        bytes += [UInt8(endpoint.port >> 8), UInt8(truncatingIfNeeded: endpoint.port)]
        return sha1(bytes)
    }

    /// The two notifies of a message. `forced`: the source is made to look as if a NAT had changed it.
    static func notifies(_ header: IKEHeader, path: Path, forced: Bool) -> [Payload] {
        let source = forced ? Endpoint(.unspecified(path.local.address.family), port: 0) : path.local
        return [
            .notify(NotifyPayload(.natDetectionSource, data: hash(header, source))),
            .notify(NotifyPayload(.natDetectionDestination, data: hash(header, path.remote))),
        ]
    }

    /// The situation by a message that came along `path`. Its sender may list several addresses of its own.
    static func situation(_ message: Message, path: Path, forced: Bool) -> NATSituation {
        let sources = message.notifies.filter { $0.type == .natDetectionSource }
        let destinations = message.notifies.filter { $0.type == .natDetectionDestination }
        guard !sources.isEmpty, !destinations.isEmpty else { return NATSituation() }
        let remote = hash(message.header, path.remote)
        let local = hash(message.header, path.local)
        return NATSituation(
            isSupported: true, isLocal: !destinations.contains { $0.data == local },
            isRemote: !sources.contains { $0.data == remote }, isForced: forced)
    }
}
