/// Tells which records of the log are the same once more, so that what fails for days does not fill it: the first three
/// are written, then one in ten minutes. What has not come for an hour is new again.
///
/// Records count as the same whatever numbers they have in them: attempts and pauses are counted up.
struct RepeatedRecords {
    private struct Entry {
        var count = 0
        /// Nanoseconds.
        var seenAt: UInt64
        var writtenAt: UInt64
        /// Left out since the last one that was written.
        var leftOut = 0
    }

    enum Verdict: Equatable {
        /// The record is written; so many before it were not.
        case written(leftOut: Int)
        case leftOut
    }

    private var entries: [String: Entry] = [:]

    static let capacity = 1024
    static let atOnce = 3
    private static let interval: UInt64 = 600_000_000_000
    private static let memory: UInt64 = 3_600_000_000_000

    /// - Parameters:
    ///   - subject: whom the record is about, so that one peer's do not count for another.
    ///   - now: monotonic nanoseconds.
    mutating func judge(_ text: String, of subject: String, at now: UInt64) -> Verdict {
        let key = subject + "\n" + text.filter { !$0.isNumber }
        if entries[key] == nil, entries.count >= Self.capacity {
            entries = entries.filter { now &- $0.value.seenAt < Self.interval }
            // Who has so much to tell is limited elsewhere.
            if entries.count >= Self.capacity { return .written(leftOut: 0) }
        }
        var entry = entries[key] ?? Entry(seenAt: now, writtenAt: now)
        if now &- entry.seenAt >= Self.memory { entry = Entry(seenAt: now, writtenAt: now) }
        entry.count += 1
        entry.seenAt = now
        defer { entries[key] = entry }
        if entry.count > Self.atOnce, now &- entry.writtenAt < Self.interval {
            entry.leftOut += 1
            return .leftOut
        }
        let leftOut = entry.leftOut
        entry.leftOut = 0
        entry.writtenAt = now
        return .written(leftOut: leftOut)
    }
}
