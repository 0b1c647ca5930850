import IKEv2

/// The kinds of UDP datagrams on an IKE port (RFC 3948 section 2, RFC 7296 section 2.23).
enum IKEDatagram: Equatable {
    /// An IKE message, its marker taken off.
    case message([UInt8])
    /// One byte 0xFF that keeps a NAT's mapping alive.
    case keepalive
    /// ESP that the steering program did not take: it came by a port that is no WAN, or in fragments.
    case esp
    /// Too short for anything.
    case malformed

    private static let keepaliveByte: UInt8 = 0xFF
    static let keepaliveBytes = [keepaliveByte]
    /// The fixed header of an IKE message (RFC 7296 section 3.1), or the least that ESP has (RFC 4303 section 2).
    private static let leastLength = 28
    private static let leastESPLength = 8

    init(_ bytes: [UInt8], hasMarker: Bool) {
        if bytes.count == 1, bytes[0] == Self.keepaliveByte {
            self = .keepalive
        } else if !hasMarker {
            self = bytes.count >= Self.leastLength ? .message(bytes) : .malformed
        } else if bytes.count < Self.leastESPLength {
            self = .malformed
        } else if bytes.prefix(IKESocket.markerLength).contains(where: { $0 != 0 }) {
            self = .esp
        } else {
            let message = Array(bytes.dropFirst(IKESocket.markerLength))
            self = message.count >= Self.leastLength ? .message(message) : .malformed
        }
    }
}

/// Datagrams of the IKE sockets, by what became of them.
package struct IKEDatagramCounters: Hashable, Sendable {
    package var received: UInt64 = 0
    package var sent: UInt64 = 0
    package var keepalivesReceived: UInt64 = 0
    package var keepalivesSent: UInt64 = 0
    /// Dropped: ESP in UDP that only the kernel saw.
    package var espReceived: UInt64 = 0
    /// Dropped: too short, or to an address that is nobody's own.
    package var malformed: UInt64 = 0
    /// Datagrams that were not sent as the kernel refused.
    package var sendFailures: UInt64 = 0

    package init() {}
}
