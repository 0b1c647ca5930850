import Logging
import Platform

/// The form of log lines (`--log-format`).
public enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-01-31T12:00:00.123Z info ike: message key=value`
    case text
    /// One JSON object a line.
    case json
}

/// The content of a log line, free of where it goes.
public struct LogRecord: Sendable {
    /// Since 1970-01-01 UTC, in nanoseconds.
    public var nanoseconds: Int64
    public var level: Logger.Level
    /// The part of the program that speaks: the logger's label.
    public var component: String
    public var message: String
    public var metadata: Logger.Metadata

    public init(
        nanoseconds: Int64, level: Logger.Level, component: String, message: String, metadata: Logger.Metadata = [:]
    ) {
        self.nanoseconds = nanoseconds
        self.level = level
        self.component = component
        self.message = message
        self.metadata = metadata
    }
}

extension LogFormat {
    /// The record as exactly one line, its newline included. Metadata is sorted by key.
    public func line(_ record: LogRecord) -> String {
        switch self {
        case .text: textLine(record)
        case .json: jsonLine(record)
        }
    }

    private func textLine(_ record: LogRecord) -> String {
        var line = timestamp(record.nanoseconds) + " \(record.level.rawValue) "
        TextEscape.append(record.component, to: &line)
        line += ": "
        TextEscape.append(record.message, to: &line)
        for (key, value) in record.metadata.sorted(by: { $0.key < $1.key }) {
            line += " "
            TextEscape.append(key, to: &line)
            line += "="
            TextEscape.appendValue(text(value), to: &line)
        }
        return line + "\n"
    }

    /// A list as its items, so that they are not quoted twice.
    private func text(_ value: Logger.MetadataValue) -> String {
        guard case .array(let items) = value else { return value.description }
        return items.map(text).joined(separator: "; ")
    }

    private func jsonLine(_ record: LogRecord) -> String {
        var line =
            "{\"time\":\"\(timestamp(record.nanoseconds))\",\"level\":\"\(record.level.rawValue)\",\"component\":"
        JSONText.appendString(record.component, to: &line)
        line += ",\"message\":"
        JSONText.appendString(record.message, to: &line)
        if !record.metadata.isEmpty {
            line += ",\"metadata\":"
            appendJSON(.dictionary(record.metadata), to: &line)
        }
        return line + "}\n"
    }

    private func appendJSON(_ value: Logger.MetadataValue, to line: inout String) {
        switch value {
        case .string(let text): JSONText.appendString(text, to: &line)
        case .stringConvertible(let convertible): JSONText.appendString(convertible.description, to: &line)
        case .array(let values):
            line += "["
            for (index, element) in values.enumerated() {
                if index > 0 { line += "," }
                appendJSON(element, to: &line)
            }
            line += "]"
        case .dictionary(let entries):
            line += "{"
            for (index, entry) in entries.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line += "," }
                JSONText.appendString(entry.key, to: &line)
                line += ":"
                appendJSON(entry.value, to: &line)
            }
            line += "}"
        }
    }
}

/// Writes one line per event to a file descriptor, standard error by default, with one `write` so that lines of
/// several threads and processes do not mix. Whoever logs does not wait for that (`LogWriter`).
///
///     LoggingSystem.bootstrap { LineLogHandler(label: $0, format: .json, level: .info) }
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat
    private let fileDescriptor: Int32

    public init(label: String, format: LogFormat, level: Logger.Level = .info, fileDescriptor: Int32 = 2) {
        self.label = label
        self.format = format
        self.logLevel = level
        self.fileDescriptor = fileDescriptor
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        let record = LogRecord(
            nanoseconds: Int64(clamping: SystemClock.wall()), level: event.level, component: label,
            message: event.message.description,
            metadata: merged)
        LogWriter.shared.write(record, format: format, descriptor: fileDescriptor)
    }
}

/// RFC 3339 in UTC with milliseconds. The calendar is computed here, because the C library's needs a lock and
/// Foundation is not linked.
func timestamp(_ nanoseconds: Int64) -> String {
    let (days, dayRest) = floorDivide(nanoseconds, 86_400_000_000_000)
    let (second, fraction) = floorDivide(dayRest, 1_000_000_000)
    let date = civilDate(daysSince1970: days)
    return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))T"
        + "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2)).\(pad(fraction / 1_000_000, 3))Z"
}

/// The Gregorian date of a day number. Years are counted from March, so that the leap day is a year's last.
private func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let daysIn400Years: Int64 = 146_097
    let daysTo1970FromMarchOfYear0: Int64 = 719_468
    let (era, dayOfEra) = floorDivide(daysSince1970 + daysTo1970FromMarchOfYear0, daysIn400Years)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}

private func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
