import Cryptography
import Packets
import Synchronization
import Telemetry

/// An inbound SA as the control side holds it: what it was made from, its cipher, and the record that its worker uses.
///
/// The record lives as long as this object, so whoever hands `runtime` to a worker keeps the object until the worker
/// has let go of it.
public final class InboundAssociation: Sendable {
    /// Without the key, which only the cipher has.
    public let parameters: SAParameters
    /// Nanoseconds of the dataplane's clock.
    public let added: UInt64
    /// For `ESPInbound`; 64-byte aligned.
    public nonisolated(unsafe) let runtime: UnsafeMutablePointer<InboundSA>
    let drops: DropCounters
    private let cipher: ESPCipher
    private nonisolated(unsafe) let selectors: UnsafeMutablePointer<TrafficSelector>

    /// Sets the key and makes the record. `now` is nanoseconds of the dataplane's clock; ages and time limits count
    /// from there.
    public init(_ parameters: SAParameters, engine: any ESPEngine, now: UInt64) throws(SAError) {
        try parameters.validate()
        do {
            cipher = try engine.makeCipher(
                parameters.transform, keyMaterial: parameters.key, direction: .open,
                extendedSequenceNumbers: parameters.extendedSequenceNumbers)
        } catch {
            throw .cryptography(error)
        }
        self.parameters = parameters.withoutKey
        added = now
        drops = .allocate()
        selectors = .allocate(capacity: max(1, parameters.selectors.count))
        for (index, selector) in parameters.selectors.enumerated() { (selectors + index).initialize(to: selector) }

        // The record, then the bits of the replay window on a cache line of their own.
        let memory = RuntimeMemory.allocate(byteCount: Self.byteCount(parameters))
        runtime = memory.bindMemory(to: InboundSA.self, capacity: 1)
        let words = (memory + RuntimeMemory.rounded(MemoryLayout<InboundSA>.size))
            .bindMemory(
                to: Atomic<UInt64>.self, capacity: ReplayWindow.wordCount(size: parameters.replayWindow))
        runtime.initialize(
            to: InboundSA(
                parameters, context: cipher.context, drops: drops, selectors: selectors, windowWords: words, added: now)
        )
    }

    deinit {
        let byteCount = Self.byteCount(parameters)
        runtime.deinitialize(count: 1)
        RuntimeMemory.deallocate(runtime, byteCount: byteCount)
        selectors.deallocate()
        drops.deallocate()
    }

    /// What happened so far; events are never taken back.
    public var events: SAEvents { SAEvents(rawValue: runtime.pointee.events.load(ordering: .relaxed)) }

    private static func byteCount(_ parameters: SAParameters) -> Int {
        RuntimeMemory.rounded(MemoryLayout<InboundSA>.size)
            + ReplayWindow.wordCount(size: parameters.replayWindow) * MemoryLayout<UInt64>.stride
    }
}

extension InboundSA {
    init(
        _ parameters: SAParameters, context: UnsafeMutableRawPointer, drops: DropCounters,
        selectors: UnsafePointer<TrafficSelector>, windowWords: UnsafeMutablePointer<Atomic<UInt64>>, added: UInt64
    ) {
        let transform = parameters.transform
        self.context = context
        self.drops = drops
        stops = LifetimeStops()
        destinationHigh = parameters.destination.high
        destinationLow = parameters.destination.low
        destinationFamily = parameters.destination.family
        spi = parameters.spi
        owner = UInt16(parameters.owner)
        espHeaderLength = UInt8(8 + transform.ivLength)
        overhead = UInt8(8 + transform.ivLength + transform.icvLength)
        alignmentMask = UInt8(transform.alignment - 1)
        var flags: Flags = parameters.encapsulation != nil ? .udp : []
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
}
