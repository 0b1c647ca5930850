import Packets
import Synchronization

/// The part of an outbound record that changes when an SA moves: what is around its ESP packets.
///
/// The control side never writes what a worker reads per packet. It lays the new form beside the record and publishes a
/// snapshot; the owner takes it over before the first packet that it sends under that snapshot, so that no packet has
/// headers half old and half new, and sequence numbers, keys and counters are not touched.
@usableFromInline
struct OutboundForm: BitwiseCopyable {
    let template: OuterHeaderTemplate
    let headerLength: UInt8
    let isIPv6: Bool
    let isEncapsulated: Bool

    init(_ parameters: SAParameters) {
        template = OuterHeaderTemplate(parameters)
        isIPv6 = parameters.source.family == .ipv6
        isEncapsulated = parameters.encapsulation != nil
        headerLength = UInt8(
            OuterHeaderTemplate.headerLength(family: parameters.source.family, isEncapsulated: isEncapsulated))
    }
}

extension ESPOutbound {
    /// Takes over new outer headers, if there are any. To be called by the SA's owner once it has found the SA in a
    /// snapshot, and not between `prepare` and `finish` of a packet.
    @inlinable
    @inline(__always)
    public static func follow(_ sa: UnsafeMutablePointer<OutboundSA>) {
        if sa.pointee.pendingForm.load(ordering: .relaxed) != nil { takeForm(sa) }
    }

    @usableFromInline
    @inline(never)
    static func takeForm(_ sa: UnsafeMutablePointer<OutboundSA>) {
        // Alive: it belongs to an association of this snapshot or of a later one.
        guard let form = sa.pointee.pendingForm.exchange(nil, ordering: .acquiring) else { return }
        sa.pointee.template = form.pointee.template
        sa.pointee.headerLength = form.pointee.headerLength
        var flags = sa.pointee.flags.subtracting(.udpOverIPv6)
        if form.pointee.isIPv6 { flags.insert(.outerIPv6) }
        if form.pointee.isEncapsulated { flags.insert(.udp) }
        sa.pointee.flags = flags
    }
}
