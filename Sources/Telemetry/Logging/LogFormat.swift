import Logging

/// How log lines look (`--log-format`).
public enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-01-31T12:00:00.123Z info ike: message key=value`
    case text
    /// One JSON object a line.
    case json
}

/// What a log line says, free of where it goes.
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
