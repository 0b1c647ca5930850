import Cryptography
import Packets
import Platform
import Synchronization
import Telemetry

/// An outbound SA as the control side holds it: what it was made from, its cipher, and the record that its worker uses.
///
/// The record lives as long as this object, so whoever hands `runtime` to a worker keeps the object until the worker
/// has let go of it. An SA that moves is a new object with the same record.
public final class OutboundSA: Sendable {
    /// The parameters without the key, which only the cipher has.
    public let parameters: SAParameters
    /// Nanoseconds of the dataplane's clock.
    public let added: UInt64
    /// For `ESPOutbound`; 64-byte aligned.
    public nonisolated(unsafe) let runtime: UnsafeMutablePointer<OutboundRuntime>
    private let record: Record

    /// The part that all objects of one SA share.
    private final class Record: Sendable {
        nonisolated(unsafe) let runtime: UnsafeMutablePointer<OutboundRuntime>
        let drops: DropCounters
        private let cipher: ESPCipher
        private let byteCount: Int

        init(_ parameters: SAParameters, kind: SAKind, cipher: ESPCipher, vectors: InitializationVectors, added: UInt64)
        {
            self.cipher = cipher
            drops = .allocate()
            // The record, then the words of its newest form on cache lines of their own.
            let recordLength = RuntimeMemory.rounded(MemoryLayout<OutboundRuntime>.size)
            byteCount = recordLength + PendingForm.wordCount * MemoryLayout<UInt64>.stride
            let memory = RuntimeMemory.allocate(byteCount: byteCount)
            runtime = memory.bindMemory(to: OutboundRuntime.self, capacity: 1)
            let words = (memory + recordLength).bindMemory(to: Atomic<UInt64>.self, capacity: PendingForm.wordCount)
            runtime.initialize(
                to: OutboundRuntime(
                    parameters, kind: kind, context: cipher.context, drops: drops, vectors: vectors, formWords: words,
                    added: added)
            )
        }

        deinit {
            runtime.deinitialize(count: 1)
            RuntimeMemory.deallocate(runtime, byteCount: byteCount)
            drops.deallocate()
        }
    }

    /// Sets the key and makes the record.
    ///
    /// - `pathMTU`: the largest outer packet in bytes.
    /// - `now`: nanoseconds of the dataplane's clock; ages and time limits count from here.
    /// - `ivBase`: where the explicit IVs of counter modes start; nil: as `InitializationVectors` says.
    public init(
        _ parameters: SAParameters, engine: any ESPEngine, pathMTU: Int = 1500, now: UInt64,
        ivBase: UInt64? = nil
    ) throws(SAError) {
        let kind = try parameters.validate()
        let cipher: ESPCipher
        do {
            cipher = try engine.makeCipher(
                parameters.transform, keyMaterial: parameters.key, direction: .seal,
                extendedSequenceNumbers: parameters.extendedSequenceNumbers)
        } catch {
            throw .cryptography(error)
        }
        self.parameters = parameters.withoutKey
        added = now
        record = Record(
            parameters, kind: kind, cipher: cipher,
            vectors: ivBase.map { InitializationVectors(base: $0) } ?? InitializationVectors(parameters), added: now)
        runtime = record.runtime
        setPathMTU(pathMTU)
    }

    /// The same SA between other endpoints or in another encapsulation: keys, counters and sequence numbers go on. Its
    /// owner uses the new headers from the first snapshot on that has this object in place of `old`.
    ///
    /// Only the endpoints and the encapsulation may differ. Of the objects of one SA the newest is the one to move.
    public init(
        moving old: OutboundSA, source: IPAddress, destination: IPAddress, encapsulation: UDPEncapsulation?,
        pathMTU: Int
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
        runtime.pointee.pendingForm.write(OutboundForm(parameters))
        setPathMTU(pathMTU)
    }

    var drops: DropCounters { record.drops }

    /// The events so far, which are never taken back.
    public var events: SAEvents { SAEvents(rawValue: runtime.pointee.events.load(ordering: .relaxed)) }

    /// The largest outer packet in bytes; the largest inner packet follows from it.
    public func setPathMTU(_ pathMTU: Int) {
        let pathMTU = min(max(pathMTU, 0), Int(UInt16.max))
        runtime.pointee.pathMTUStorage.store(UInt16(pathMTU), ordering: .relaxed)
        runtime.pointee.mtuStorage.store(UInt16(parameters.innerMTU(pathMTU: pathMTU)), ordering: .relaxed)
    }
}

extension OutboundRuntime {
    init(
        _ parameters: SAParameters, kind: SAKind, context: UnsafeMutableRawPointer, drops: DropCounters,
        vectors: InitializationVectors,
        formWords: UnsafeMutablePointer<Atomic<UInt64>>, added: UInt64
    ) {
        let transform = parameters.transform
        self.kind = kind
        self.context = context
        self.drops = drops
        ivBase = vectors.base
        ivShift = vectors.shift
        stops = LifetimeStops()
        spi = parameters.spi
        let family = parameters.source.family
        headerLength = UInt8(
            OuterHeaderTemplate.headerLength(family: family, isEncapsulated: parameters.encapsulation != nil))
        espHeaderLength = UInt8(8 + transform.ivLength)
        icvLength = UInt8(transform.icvLength)
        alignmentMask = UInt8(transform.alignment - 1)
        var flags: Flags = family == .ipv6 ? .outerIPv6 : []
        if parameters.encapsulation != nil { flags.insert(.udp) }
        if parameters.extendedSequenceNumbers { flags.insert(.extendedSequence) }
        self.flags = flags
        trafficClassMask = (parameters.copyDSCP ? 0xFC : 0) | (parameters.ecn ? 0x03 : 0)
        owner = UInt16(parameters.owner)
        mtuStorage = Atomic(0)
        pathMTUStorage = Atomic(0)
        dontFragmentCopy = parameters.dontFragment == .copy ? 0x4000 : 0
        dontFragmentSet = parameters.dontFragment == .set ? 0x4000 : 0
        sequence = Atomic(parameters.initialSequence)
        initialSequence = parameters.initialSequence
        pendingForm = PendingForm(words: formWords)
        bytes = Atomic(0)
        lastUsed = Atomic(0)
        firstUsed = Atomic(0)
        events = Atomic(0)
        template = OuterHeaderTemplate(parameters)
        limits = LifetimeLimits(parameters.lifetime, added: added)
    }
}

/// The beginning of the explicit IVs of an SA's counter mode, and their distance: base + sequence number << shift.
///
/// A key of IKE's is used by one SA alone, whose sequence numbers are the IVs. A manual key outlives a restart, and whoever
/// writes it may write it twice. So its IVs are made of two parts that keep them apart (RFC 4106 section 2: never the same one
/// under one key):
/// - above, the wall clock in units of 64 ns, and on from there with each packet. A restart begins behind what was used, since no
///   SA sends 15 million packets a second for long.
/// - in the lowest 9 bits, which no packet changes, who counts: the direction between the two endpoints, and the number of the SA
///   among those that this process made. Two SAs with one key, on this host or on both ends of a tunnel, never meet.
struct InitializationVectors: Equatable {
    var base: UInt64
    var shift: UInt8

    private static let numberBits: UInt64 = 8
    private static let shiftOfManualKeys = numberBits + 1
    /// The clock's nanoseconds are divided by 2 to the power of this.
    private static let unitBits: UInt64 = 6
    private static let made = Atomic<UInt64>(0)

    init(base: UInt64, shift: UInt8 = 0) {
        self.base = base
        self.shift = shift
    }

    /// The vectors of a new SA.
    init(_ parameters: SAParameters) {
        if parameters.isManual {
            let number = Self.made.wrappingAdd(1, ordering: .relaxed).oldValue
            self.init(parameters, time: Self.nanosecondsSince1970(), number: number)
        } else {
            self.init(base: 0)
        }
    }

    /// The vectors of a manual key's SA, the n-th of this process, made at a time in nanoseconds since 1970.
    init(_ parameters: SAParameters, time: UInt64, number: UInt64) {
        let (source, destination) = (parameters.source, parameters.destination)
        let isUpwards = (source.high, source.low) < (destination.high, destination.low)
        let direction: UInt64 = isUpwards ? 1 << Self.numberBits : 0
        let count = (time >> Self.unitBits) << Self.shiftOfManualKeys
        base = count | direction | (number & (1 << Self.numberBits - 1))
        shift = UInt8(Self.shiftOfManualKeys)
    }

    private static func nanosecondsSince1970() -> UInt64 { SystemClock.wall() }
}
