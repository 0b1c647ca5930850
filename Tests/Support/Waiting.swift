import Foundation

/// Something that was waited for and did not happen.
public struct NeverHappened: Error, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
}

/// Blocks until `condition` holds, asking again and again; throws when `within` has passed.
///
/// - `what`: what is waited for, for the error.
/// - `within`: generous, because a test machine may be slow; a test that passes does not wait this long.
public func eventually(
    _ what: String, within limit: Duration = .seconds(30), every pause: Duration = .milliseconds(20),
    _ condition: () throws -> Bool
) throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while true {
        if try condition() { return }
        if clock.now >= deadline { throw NeverHappened(description: "not within \(limit): \(what)") }
        Thread.sleep(forTimeInterval: Double(pause.components.attoseconds) / 1e18 + Double(pause.components.seconds))
    }
}

extension Duration {
    /// This duration as the operating system's `timeval`.
    var asTimeval: timeval {
        timeval(tv_sec: Int(components.seconds), tv_usec: Int(components.attoseconds / 1_000_000_000_000))
    }
}
