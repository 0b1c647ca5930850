/// What became of one packet: passed, or dropped and why. One byte, so that a batch of verdicts is a byte array.
@frozen
public struct Verdict: Hashable, Sendable, BitwiseCopyable {
    /// 0 when the packet passed, else 1 + the raw value of the `DropReason`.
    public var rawValue: UInt8

    @inlinable
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A verdict that drops the packet.
    @inlinable
    public init(drop reason: DropReason) { self.rawValue = reason.rawValue &+ 1 }

    /// The packet goes on.
    @inlinable
    public static var pass: Verdict { Verdict(rawValue: 0) }

    /// A verdict that drops the packet: `.drop(.noRoute)`.
    @inlinable
    public static func drop(_ reason: DropReason) -> Verdict { Verdict(drop: reason) }

    @inlinable
    public var isPass: Bool { rawValue == 0 }

    /// Why the packet was dropped, nil when it passed.
    @inlinable
    public var reason: DropReason? { rawValue == 0 ? nil : DropReason(rawValue: rawValue &- 1) }
}

extension Verdict: CustomStringConvertible {
    public var description: String { reason?.name ?? "pass" }
}
