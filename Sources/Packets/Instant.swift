/// A moment of the gateway's clock (CLOCK_BOOTTIME, which goes on while the machine sleeps): nanoseconds since its start.
///
/// Sums stop at the ends of the clock instead of trapping: a lifetime of `UInt64.max` seconds ends `never`.
@frozen
public struct Instant: Hashable, BitwiseCopyable, Sendable {
    public let nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The start of the clock: before anything that happens.
    public static let start = Instant(nanoseconds: 0)
    /// A time that does not come.
    public static let never = Instant(nanoseconds: .max)

    public static func + (moment: Instant, time: Duration) -> Instant { moment.moved(by: time.wholeNanoseconds) }

    public static func - (moment: Instant, time: Duration) -> Instant { moment.moved(by: 0 - time.wholeNanoseconds) }

    public static func += (moment: inout Instant, time: Duration) { moment = moment + time }

    /// The time from `earlier` to `later`; negative when it is the other way round.
    public static func - (later: Instant, earlier: Instant) -> Duration {
        later >= earlier
            ? .nanoseconds(later.nanoseconds - earlier.nanoseconds)
            : .zero - .nanoseconds(earlier.nanoseconds - later.nanoseconds)
    }

    private func moved(by time: Int128) -> Instant {
        let sum = Int128(nanoseconds) + time
        return Instant(nanoseconds: UInt64(clamping: sum))
    }
}

extension Instant: Comparable {
    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Instant: CustomStringConvertible {
    public var description: String { "\(nanoseconds) ns" }
}

extension Instant: ExpressibleByIntegerLiteral {
    /// A literal counts nanoseconds.
    public init(integerLiteral value: UInt64) { nanoseconds = value }
}

extension Duration {
    /// Rounded to zero.
    public var wholeNanoseconds: Int128 { attoseconds / 1_000_000_000 }

    /// Whole seconds, rounded down, as listings show them.
    public var wholeSeconds: Int { Int(clamping: attoseconds / 1_000_000_000_000_000_000) }
}
