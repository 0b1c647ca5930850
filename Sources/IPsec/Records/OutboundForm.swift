import Packets
import Synchronization

/// The part of an outbound record that changes when an SA moves: what is around its ESP packets.
///
/// The control side never writes what a worker reads per packet. It lays the new form beside the record and publishes a
/// snapshot; the owner takes it over before the first packet that it sends under that snapshot, so that no packet has
/// headers half old and half new, and sequence numbers, keys and counters are not touched.
struct OutboundForm: BitwiseCopyable {
    var template: OuterHeaderTemplate
    var headerLength: UInt8
    var isIPv6: Bool
    var isEncapsulated: Bool

    init(_ parameters: SAParameters) {
        template = OuterHeaderTemplate(parameters)
        isIPv6 = parameters.source.family == .ipv6
        isEncapsulated = parameters.encapsulation != nil
        headerLength = UInt8(
            OuterHeaderTemplate.headerLength(family: parameters.source.family, isEncapsulated: isEncapsulated))
    }
}

/// Where the newest form of an outbound SA lies for its owner: words that belong to the SA's record, so that they are there as
/// long as a worker can meet the SA, however many objects of it come and go meanwhile.
///
/// A sequence lock: the one writer makes the version odd, writes, and makes it even again; a reader whose version was odd or has
/// changed leaves what it read alone. It does not wait: the snapshot that the writer publishes next makes it look again.
@usableFromInline
struct PendingForm: ~Copyable {
    /// Of the form in `words`; 0: none yet.
    @usableFromInline let version: Atomic<UInt64>
    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// Eight words for the template, one for the rest.
    static let wordCount = MemoryLayout<OuterHeaderTemplate>.size / 8 + 1

    /// `words` is memory for `wordCount` words that outlives the record.
    init(words: UnsafeMutablePointer<Atomic<UInt64>>) {
        for index in 0..<Self.wordCount { (words + index).initialize(to: Atomic(0)) }
        self.words = words
        version = Atomic(0)
    }

    /// From the control side, one call at a time.
    func write(_ form: OutboundForm) {
        let before = version.load(ordering: .relaxed)
        version.store(before &+ 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        withUnsafeBytes(of: form.template) { bytes in
            for index in 0..<Self.wordCount - 1 {
                words[index].store(bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self), ordering: .relaxed)
            }
        }
        let rest = UInt64(form.headerLength) | (form.isIPv6 ? 0x100 : 0) | (form.isEncapsulated ? 0x200 : 0)
        words[Self.wordCount - 1].store(rest, ordering: .relaxed)
        version.store(before &+ 2, ordering: .releasing)
    }

    /// From the owner: reads the newest form into `form`, and returns its version; nil, and a form without meaning, while the
    /// writer is at it.
    func read(into form: inout OutboundForm) -> UInt64? {
        let before = version.load(ordering: .acquiring)
        guard before & 1 == 0 else { return nil }
        withUnsafeMutableBytes(of: &form.template) { bytes in
            for index in 0..<Self.wordCount - 1 {
                bytes.storeBytes(of: words[index].load(ordering: .relaxed), toByteOffset: 8 * index, as: UInt64.self)
            }
        }
        let rest = words[Self.wordCount - 1].load(ordering: .relaxed)
        form.headerLength = UInt8(truncatingIfNeeded: rest)
        form.isIPv6 = rest & 0x100 != 0
        form.isEncapsulated = rest & 0x200 != 0
        atomicMemoryFence(ordering: .acquiring)
        return version.load(ordering: .relaxed) == before ? before : nil
    }
}

extension ESPOutbound {
    /// Takes over new outer headers, if there are any. To be called by the SA's owner once it has found the SA in a
    /// snapshot, and not between `prepare` and `finish` of a packet.
    @inlinable
    @inline(__always)
    public static func follow(_ sa: UnsafeMutablePointer<OutboundRuntime>) {
        if sa.pointee.pendingForm.version.load(ordering: .relaxed) != sa.pointee.takenForm { takeForm(sa) }
    }

    @usableFromInline
    @inline(never)
    static func takeForm(_ sa: UnsafeMutablePointer<OutboundRuntime>) {
        var form = OutboundForm(template: sa.pointee.template)
        guard let version = sa.pointee.pendingForm.read(into: &form) else { return }
        sa.pointee.takenForm = version
        sa.pointee.template = form.template
        sa.pointee.headerLength = form.headerLength
        var flags = sa.pointee.flags.subtracting(.udpOverIPv6)
        if form.isIPv6 { flags.insert(.outerIPv6) }
        if form.isEncapsulated { flags.insert(.udp) }
        sa.pointee.flags = flags
    }
}

extension OutboundForm {
    /// To be written over.
    fileprivate init(template: OuterHeaderTemplate) {
        self.template = template
        (headerLength, isIPv6, isEncapsulated) = (0, false, false)
    }
}
