import Packets
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Where the explicit IVs of an SA's counter mode begin, and how far apart they are: base + sequence number << shift.
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

    /// Those of a new SA.
    init(_ parameters: SAParameters) {
        if parameters.isManual {
            let number = Self.made.wrappingAdd(1, ordering: .relaxed).oldValue
            self.init(parameters, time: Self.nanosecondsSince1970(), number: number)
        } else {
            self.init(base: 0)
        }
    }

    /// Those of a manual key's SA, the n-th of this process, made at a time in nanoseconds since 1970.
    init(_ parameters: SAParameters, time: UInt64, number: UInt64) {
        let (source, destination) = (parameters.source, parameters.destination)
        let isUpwards = (source.high, source.low) < (destination.high, destination.low)
        let direction: UInt64 = isUpwards ? 1 << Self.numberBits : 0
        let count = (time >> Self.unitBits) << Self.shiftOfManualKeys
        base = count | direction | (number & (1 << Self.numberBits - 1))
        shift = UInt8(Self.shiftOfManualKeys)
    }

    private static func nanosecondsSince1970() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
}
