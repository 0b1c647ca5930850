import Cryptography
import Packets
import Synchronization
import Telemetry

/// An inbound SA as the control side holds it: what it was made from, its cipher, and the record that its worker uses.
///
/// The record lives as long as this object, so whoever hands `runtime` to a worker keeps the object until the worker
/// has let go of it. An SA that moves is a new object with the same record.
public final class InboundSA: Sendable {
    /// The parameters without the key, which only the cipher has.
    public let parameters: SAParameters
    /// Nanoseconds of the dataplane's clock.
    public let added: UInt64
    /// For `ESPInbound`; 64-byte aligned.
    public nonisolated(unsafe) let runtime: UnsafeMutablePointer<InboundRuntime>
    private let record: Record

    /// Sets the key and makes the record. `now` is nanoseconds of the dataplane's clock; ages and time limits count
    /// from there.
    public init(_ parameters: SAParameters, engine: any ESPEngine, now: UInt64) throws(SAError) {
        let kind = try parameters.validate()
        let cipher: ESPCipher
        do {
            cipher = try engine.makeCipher(
                parameters.transform, keyMaterial: parameters.key, direction: .open,
                extendedSequenceNumbers: parameters.extendedSequenceNumbers)
        } catch {
            throw .cryptography(error)
        }
        self.parameters = parameters.withoutKey
        added = now
        record = Record(parameters, kind: kind, cipher: cipher, added: now)
        runtime = record.runtime
    }

    /// The same SA between other endpoints or in another encapsulation: keys, counters and the replay window go on.
    /// Takes effect at once; a packet that arrives meanwhile may be refused as one for another address.
    public init(
        moving old: InboundSA, source: IPAddress, destination: IPAddress, encapsulation: UDPEncapsulation?
    ) throws(SAError) {
        guard source.family == destination.family else { throw .mixedAddressFamilies }
        var parameters = old.parameters
        parameters.source = source
        parameters.destination = destination
        parameters.encapsulation = encapsulation
        self.parameters = parameters
        added = old.added
        record = old.record
        runtime = old.runtime
        runtime.pointee.move(parameters)
    }

    var drops: DropCounters { record.drops }

    /// The events so far, which are never taken back.
    public var events: SAEvents { SAEvents(rawValue: runtime.pointee.events.load(ordering: .relaxed)) }

}

/// The part that all objects of one SA share.
private final class Record: Sendable {
    nonisolated(unsafe) let runtime: UnsafeMutablePointer<InboundRuntime>
    let drops: DropCounters
    private let cipher: ESPCipher
    private nonisolated(unsafe) let selectors: UnsafeMutablePointer<TrafficSelector>
    private let byteCount: Int

    init(_ parameters: SAParameters, kind: SAKind, cipher: ESPCipher, added: UInt64) {
        self.cipher = cipher
        drops = .allocate()
        selectors = .allocate(capacity: max(1, parameters.selectors.count))
        for (index, selector) in parameters.selectors.enumerated() { (selectors + index).initialize(to: selector) }

        // The record, then the bits of the replay window on a cache line of their own.
        let wordCount = ReplayWindow.wordCount(size: parameters.replayWindow)
        let recordLength = RuntimeMemory.rounded(MemoryLayout<InboundRuntime>.size)
        byteCount = recordLength + wordCount * MemoryLayout<UInt64>.stride
        let memory = RuntimeMemory.allocate(byteCount: byteCount)
        runtime = memory.bindMemory(to: InboundRuntime.self, capacity: 1)
        let words = (memory + recordLength).bindMemory(to: Atomic<UInt64>.self, capacity: wordCount)
        runtime.initialize(
            to: InboundRuntime(
                parameters, kind: kind, context: cipher.context, drops: drops, selectors: selectors, windowWords: words,
                added: added))
    }

    deinit {
        runtime.deinitialize(count: 1)
        RuntimeMemory.deallocate(runtime, byteCount: byteCount)
        selectors.deallocate()
        drops.deallocate()
    }
}

extension InboundRuntime {
    init(
        _ parameters: SAParameters, kind: SAKind, context: UnsafeMutableRawPointer, drops: DropCounters,
        selectors: UnsafePointer<TrafficSelector>, windowWords: UnsafeMutablePointer<Atomic<UInt64>>, added: UInt64
    ) {
        let transform = parameters.transform
        self.kind = kind
        self.context = context
        self.drops = drops
        stops = LifetimeStops()
        destinationHigh = Atomic(parameters.destination.high)
        destinationLow = Atomic(parameters.destination.low)
        destinationFamily = Atomic(parameters.destination.family.rawValue)
        sourceMark = Atomic(Self.sourceMark(parameters))
        spi = parameters.spi
        owner = UInt16(parameters.owner)
        espHeaderLength = UInt8(8 + transform.ivLength)
        overhead = UInt8(8 + transform.ivLength + transform.icvLength)
        alignmentMask = UInt8(transform.alignment - 1)
        var flags: Flags = parameters.encapsulation != nil ? .udp : .bare
        if parameters.acceptsEitherEncapsulation { flags.formUnion([.udp, .bare]) }
        if parameters.extendedSequenceNumbers { flags.insert(.extendedSequence) }
        if parameters.ecn { flags.insert(.ecn) }
        self.flags = flags
        window = ReplayWindow(
            size: parameters.replayWindow, top: parameters.initialReplaySequence, words: windowWords)
        packets = Atomic(0)
        bytes = Atomic(0)
        lastUsed = Atomic(0)
        firstUsed = Atomic(0)
        (selector, selectorTag) = SelectorMasks.make(parameters.selectors)
        self.selectors = selectors
        selectorCount = parameters.selectors.count
        limits = LifetimeLimits(parameters.lifetime, added: added)
        ecnAnomalies = Atomic(0)
        events = Atomic(0)
    }

    /// A peer behind a NAT is followed only where IKE does it: manual keys have no one who could.
    private static func sourceMark(_ parameters: SAParameters) -> UInt64 {
        guard parameters.acceptsEitherEncapsulation, let encapsulation = parameters.encapsulation else {
            return SourceMark.anywhere
        }
        return SourceMark.make(parameters.source, port: encapsulation.sourcePort)
    }

    /// Moves the SA, from the control side, while the owner goes on.
    func move(_ parameters: SAParameters) {
        destinationHigh.store(parameters.destination.high, ordering: .relaxed)
        destinationLow.store(parameters.destination.low, ordering: .relaxed)
        destinationFamily.store(parameters.destination.family.rawValue, ordering: .relaxed)
        sourceMark.store(Self.sourceMark(parameters), ordering: .relaxed)
    }
}
